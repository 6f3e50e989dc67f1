//! What the shop sells: pages, searching, and the pieces that can be had.

use serde_json::json;
use shobai::types::TaxRate;

use crate::support::TestEngine;

#[actix::test]
async fn a_product_is_shown_with_its_variants_and_what_is_available() {
    let engine = TestEngine::start().await;
    engine.sells_at("MISO-500", 7, 1_080, TaxRate::Reduced).await;
    let customer = engine.customer().await;
    customer.orders("MISO-500", 2).await.expect(201);

    let listed = engine.visitor().get("/v1/products").await.expect(200);
    let id = listed.items()[0]["id"].as_str().unwrap();
    let product = engine.visitor().get(&format!("/v1/products/{id}")).await.expect(200);

    assert_eq!(product.body, listed.items()[0]);
    assert_eq!(
        product.body,
        json!({
            "id": id,
            "name": "Product MISO-500",
            "description": "Made for a test.",
            "category": "tests",
            "variants": [{
                "sku": "MISO-500",
                "attributes": {"size": "M"},
                "price": {"amount": 1080, "currency": "JPY"},
                "tax_rate": 8,
                "available": 5,
            }],
        })
    );
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn products_come_in_pages_without_a_gap() {
    let engine = TestEngine::start().await;
    for number in 0..7 {
        engine.sells(&format!("LAMP-{number}"), 1).await;
    }
    let visitor = engine.visitor();

    for limit in [1, 3, 7, 100] {
        let products = visitor.all_pages("/v1/products", limit).await;
        let names: Vec<_> = products.iter().map(|product| product["name"].as_str().unwrap()).collect();
        let expected: Vec<_> = (0..7).map(|number| format!("Product LAMP-{number}")).collect();
        assert_eq!(names, expected, "{limit} on a page");
    }
    engine.stop().await;
}

#[actix::test]
async fn products_are_found_by_text_and_category() {
    let engine = TestEngine::start_with(|config| config.seed.demo = true).await;
    let visitor = engine.visitor();
    let all = visitor.all_pages("/v1/products", 100).await;
    assert_eq!(all.len(), 50);
    let wanted = &all[20];
    let (name, category) = (wanted["name"].as_str().unwrap(), wanted["category"].as_str().unwrap());

    for search in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
        let url = reqwest::Url::parse_with_params("http://shop/", [("q", &search)]).unwrap();
        let found = visitor.get(&format!("/v1/products?{}", url.query().unwrap())).await.expect(200);
        assert!(found.each("name").contains(&json!(name)), "{search}: {found:?}");
        assert!(found.items().len() < all.len());
    }
    let of_category = visitor.all_pages(&format!("/v1/products?category={category}"), 5).await;
    let expected = all.iter().filter(|product| product["category"] == category).count();
    assert_eq!(of_category.len(), expected);
    assert!(of_category.iter().all(|product| product["category"] == category));

    for nothing in ["q=no-such-thing", "q=%25%25%25", "q=_____", "q=%5C", "category=no-such-thing"] {
        let found = visitor.get(&format!("/v1/products?{nothing}")).await.expect(200);
        assert_eq!((found.items().len(), found.body["next_cursor"].is_null()), (0, true), "{nothing}");
    }
    assert_eq!(engine.audit().await, []);
    engine.stop().await;
}

#[actix::test]
async fn an_unknown_product_is_not_found() {
    let engine = TestEngine::start().await;
    let visitor = engine.visitor();
    let unknown = uuid::Uuid::now_v7();
    visitor.get(&format!("/v1/products/{unknown}")).await.expect_problem(404, "unknown-product");
    for id in ["1", "LAMP", "00000000-0000-0000-0000-00000000000g", "%00", "..%2f..%2fetc%2fpasswd"] {
        visitor.get(&format!("/v1/products/{id}")).await.expect_problem(404, "not-found");
    }
    engine.stop().await;
}

#[actix::test]
async fn an_impossible_product_query_is_refused() {
    let engine = TestEngine::start().await;
    let visitor = engine.visitor();
    for query in [
        "limit=0",
        "limit=-1",
        "limit=101",
        "limit=ten",
        "limit=",
        "limit=1.5",
        "limit=99999999999999999999",
        "limit=1&limit=2",
        "cursor=",
        "cursor=!!!",
        "cursor=bm90LWFuLWlk",
        "q=",
        "q=%20",
        "q=%00",
        "category=Caps",
        "category=",
        "page=2",
        "Limit=1",
    ] {
        let answer = visitor.get(&format!("/v1/products?{query}")).await;
        assert_eq!(answer.status, 422, "{query}: {answer:?}");
        assert!(matches!(answer.code(), "invalid-query" | "invalid-value"), "{query}: {answer:?}");
    }
    engine.stop().await;
}
