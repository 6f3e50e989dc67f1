//! Declares once what a statement takes as arrays: the rows, the vectors and the parameters in their order follow.
//!
//! A statement that writes many rows takes one array for each column and joins them again with `unnest`. [`columns!`]
//! lists the columns of each such `unnest` in the order of the parameters. A unit test beside each declaration calls
//! `check_statement`, which compares it with the file's header, its casts and the names after `unnest`.

/// A type whose values can be the elements of an array parameter.
#[cfg(test)]
pub(crate) trait ColumnType {
    /// The name of the element's type in PostgreSQL.
    const NAME: &'static str;
}

#[cfg(test)]
macro_rules! column_types {
    ($($rust:ty => $name:literal),+ $(,)?) => {
        $(impl ColumnType for $rust {
            const NAME: &'static str = $name;
        })+
    };
}

#[cfg(test)]
column_types! {
    &str => "text",
    String => "text",
    &[u8] => "bytea",
    bool => "boolean",
    i16 => "smallint",
    i64 => "bigint",
    jiff::Timestamp => "timestamptz",
    uuid::Uuid => "uuid",
}

#[cfg(test)]
impl<T: ColumnType> ColumnType for Option<T> {
    const NAME: &'static str = T::NAME;
}

/// Declares a statement's rows, group by group: one group for each `unnest`, its columns in the order of the
/// parameters.
///
/// ```text
/// columns! {
///     /// Adds tags to products.
///     struct InsertTags<'a> for "sql/catalog/insert_tags.sql" {
///         tags: TagColumns of TagRow<'a> { product_id: Uuid, tag: &'a str }
///     }
/// }
/// let mut statement = InsertTags { tags: TagColumns::with_capacity(1) };
/// statement.tags.push(TagRow { product_id, tag });
/// let rows = statement.query(connection).await?;
/// ```
macro_rules! columns {
    (
        $(#[$doc:meta])*
        struct $statement:ident $(<$life:lifetime>)? for $file:literal {
            $(
                $(#[$group_doc:meta])*
                $group:ident: $columns:ident of $row:ident $(<$row_life:lifetime>)? {
                    $($(#[$column_doc:meta])* $column:ident: $type:ty),+ $(,)?
                }
            )+
        }
    ) => {
        $(
            $(#[$group_doc])*
            struct $row $(<$row_life>)? {
                $($(#[$column_doc])* $column: $type,)+
            }

            struct $columns $(<$row_life>)? {
                $($column: Vec<$type>,)+
            }

            impl $(<$row_life>)? $columns $(<$row_life>)? {
                /// Room for 0 rows is no allocation.
                fn with_capacity(rows: usize) -> Self {
                    Self { $($column: Vec::with_capacity(rows),)+ }
                }

                fn push(&mut self, row: $row $(<$row_life>)?) {
                    $(self.$column.push(row.$column);)+
                }
            }
        )+

        $(#[$doc])*
        struct $statement $(<$life>)? {
            $($group: $columns $(<$row_life>)?,)+
        }

        impl $(<$life>)? $statement $(<$life>)? {
            const SQL: &'static str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $file));

            /// Sends all rows in one statement.
            async fn query(
                &self,
                connection: &$crate::storage::Connection,
            ) -> Result<Vec<tokio_postgres::Row>, $crate::storage::StorageError> {
                let statement = connection.prepare_cached(Self::SQL).await?;
                Ok(connection.query(&statement, &[$($(&self.$group.$column,)+)+]).await?)
            }

            /// Compares the declaration with the file of the statement.
            #[cfg(test)]
            fn check_statement() {
                use $crate::storage::columns::{ColumnType, check};

                let groups: &[(&str, &[(&str, &str)])] = &[$((
                    stringify!($group),
                    &[$((stringify!($column), <$type as ColumnType>::NAME)),+],
                )),+];
                assert_eq!(check(Self::SQL, groups), [] as [String; 0], "{}", $file);
            }
        }
    };
}

pub(crate) use columns;

/// What a group is called, and the name and type of each of its columns.
#[cfg(test)]
type Group<'a> = (&'a str, &'a [(&'a str, &'a str)]);

/// What a statement's file has otherwise than declared.
///
/// The header lists `$n` and the column's name in words; where there are several groups, the first of each follows the
/// group's name and a colon. The statement has `unnest($1::type[], …) as alias (name, …)` for each group.
#[cfg(test)]
pub(crate) fn check(sql: &str, groups: &[Group<'_>]) -> Vec<String> {
    let (header, code): (Vec<&str>, Vec<&str>) = sql.lines().partition(|line| line.trim().starts_with("--"));
    let header: Vec<&str> = header.into_iter().map(|line| line.trim().trim_start_matches('-')).collect();
    let one_space = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (header, code) = (one_space(&header.join(" ")), one_space(&code.join(" ")));
    let words = |name: &str| name.replace('_', " ");
    let mut problems = Vec::new();
    let mut number = 0;
    for (group, columns) in groups {
        let mut casts = Vec::new();
        for (index, (name, kind)) in columns.iter().enumerate() {
            number += 1;
            let mut listed = format!("${number} {}", words(name));
            if index == 0 && groups.len() > 1 {
                listed = format!("{}: {listed}", words(group));
            }
            let is_listed = header.match_indices(&listed).any(|(start, _)| {
                !header[start + listed.len()..].starts_with(|next: char| next.is_alphanumeric())
            });
            if !is_listed {
                problems.push(format!("the header does not list `{listed}`"));
            }
            casts.push(format!("${number}::{kind}[]"));
        }
        let names = columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let unnest = format!("unnest({})", casts.join(", "));
        let is_joined = code.match_indices(&unnest).any(|(start, _)| {
            let rest = &code[start + unnest.len()..];
            let (names, rest) = match rest.strip_prefix(" with ordinality") {
                Some(rest) => (format!("({names}, position)"), rest),
                None => (format!("({names})"), rest),
            };
            let alias = rest.strip_prefix(" as ").and_then(|rest| rest.split_once(' '));
            alias.is_some_and(|(_, rest)| rest.starts_with(&names))
        });
        if !is_joined {
            problems.push(format!("no `{unnest} as … ({names})`"));
        }
    }
    let next = format!("${}", number + 1);
    if code.contains(&next) {
        problems.push(format!("{next} is not declared"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "-- Adds tags.
-- $1 product id   $2 tag, or null
insert into tags select * from unnest($1::uuid[],
    $2::text[]) as tag (product_id, tag)";

    #[test]
    fn a_declaration_that_differs_from_its_statement_is_found() {
        let check = |columns: &[(&str, &str)]| check(SQL, &[("tags", columns)]).len();
        assert_eq!(check(&[("product_id", "uuid"), ("tag", "text")]), 0);
        // Another type, another order, another name, one column too few.
        assert_eq!(check(&[("product_id", "uuid"), ("tag", "bigint")]), 1);
        assert_eq!(check(&[("tag", "text"), ("product_id", "uuid")]), 3);
        assert_eq!(check(&[("product_id", "uuid"), ("tags", "text")]), 2);
        assert_eq!(check(&[("product_id", "uuid")]), 2);
    }
}
