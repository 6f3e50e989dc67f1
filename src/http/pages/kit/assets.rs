//! The files that pages load: each page set serves its own below its root, with headers of their own.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::PageSet;
use crate::http::gateway::answer::Answer;
use crate::http::gateway::input::FromPath;
use crate::http::gateway::problem::Problem;

/// A file of `web/`, as text.
macro_rules! web {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/", $path))
    };
}
pub(in crate::http::pages) use web;

pub struct Asset {
    pub name: &'static str,
    media_type: &'static str,
    text: &'static str,
}

impl Asset {
    pub const fn script(name: &'static str, text: &'static str) -> Self {
        Self { name, media_type: "text/javascript; charset=utf-8", text }
    }

    pub const fn style(name: &'static str, text: &'static str) -> Self {
        Self { name, media_type: "text/css; charset=utf-8", text }
    }

    pub const fn image(name: &'static str, text: &'static str) -> Self {
        Self { name, media_type: "image/svg+xml", text }
    }
}

/// What every layout loads beside the page set's own files.
pub const ICON: Asset = Asset::image("icon.svg", web!("kit/icon.svg"));
pub const HTMX: Asset = Asset::script("htmx.js", web!("vendor/htmx/htmx.min.js"));

/// Answers with a file of the page set.
pub async fn get_asset<S: PageSet>(name: FromPath<String>) -> Answer {
    let asset = S::ASSETS.iter().find(|asset| asset.name == name.0).ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, asset.media_type))
        // For an hour only: another version of the engine may have other files.
        .insert_header((CACHE_CONTROL, "private, max-age=3600"))
        .body(asset.text))
}
