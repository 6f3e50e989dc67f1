//! The pages on which operators act, and on which the outcome is shown.

use super::{Operator, ROOT};
use crate::types::SaleId;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Sales,
    Sale(SaleId),
}

impl Place {
    /// The place at a path, if it is one.
    fn at(path: &str) -> Option<Self> {
        match path.strip_prefix(ROOT)? {
            "" => Some(Self::Sales),
            below => below.strip_prefix("/sales/")?.parse().ok().map(Self::Sale),
        }
    }

    pub fn path(self) -> String {
        match self {
            Self::Sales => ROOT.to_owned(),
            Self::Sale(sale) => format!("{ROOT}/sales/{sale}"),
        }
    }
}

impl Operator {
    /// Where the outcome is shown: a script gets the page that it runs in, a form the page that it is about.
    pub fn place_after(&self, about: Place) -> Place {
        self.visitor.script_path.as_deref().and_then(Place::at).unwrap_or(about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_place_only_when_operators_act_there() {
        let sale = SaleId::generate();
        for place in [Place::Sales, Place::Sale(sale)] {
            assert_eq!(Place::at(&place.path()), Some(place));
        }
        for path in ["", "/", "/opsx", "/ops/sales", "/ops/sales/new", &format!("/ops/sales/{sale}/edit")] {
            assert_eq!(Place::at(path), None, "{path}");
        }
    }
}
