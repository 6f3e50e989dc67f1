//! `report.html`: the result as one self-contained page that needs no server and no network.

use super::result::LoadResult;

const PAGE: &str = include_str!("../../../web/load-report/report.html");
const SCRIPT: &str = include_str!("../../../web/load-report/report.js");
const CHARTS: &str = include_str!("../../../web/vendor/uplot/uPlot.iife.min.js");
const CHARTS_STYLE: &str = include_str!("../../../web/vendor/uplot/uPlot.min.css");

/// The page of a result.
pub(super) fn render(result: &LoadResult) -> serde_json::Result<String> {
    // `<` could end the script element. The result is inserted last, because it may contain a placeholder.
    let result = serde_json::to_string(result)?.replace('<', "\\u003c");
    let parts = [
        ("{{uplot_css}}", CHARTS_STYLE),
        ("{{uplot_js}}", CHARTS),
        ("{{report_js}}", SCRIPT),
        ("{{result}}", &result),
    ];
    Ok(parts.into_iter().fold(PAGE.to_owned(), |page, (mark, text)| page.replacen(mark, text, 1)))
}
