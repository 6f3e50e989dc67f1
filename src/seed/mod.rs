//! Seeds a new shop with demo products, stock and two accounts.
//!
//! It may be killed at any moment: everything that it creates has a fixed id or reference, so that the next run
//! completes it, and `<data_dir>/demo.json` is written last, as the sign that the demo is complete.

mod products;

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::future::try_join_all;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use uuid::Uuid;

use crate::actors::catalog::{
    AddProduct, CatalogError, CatalogPorts, ListProducts, NewProduct, Product, Variant,
};
use crate::actors::inventory::{InventoryError, InventoryPorts, ReceiveStock, TrackSku};
use crate::actors::runtime::needs;
use crate::actors::users::{
    ChangePassword, CreateUser, Email, Role, UsersError, UsersPorts, random_password,
};
use crate::storage::private_file::{self, PrivateFileError};
use crate::types::{InvalidValue, Limit, Money, ProductId, Quantity, Sku};

pub use products::HOT_SKU;
use products::{DemoProduct, HOT_PIECES, PRODUCTS};

/// The id of the first demo product; the others follow. They are UUIDv7 of the first second of 2026, so that products
/// that are created later are listed later.
const FIRST_PRODUCT: u128 = 0x019b_76da_a800_7000_8000_0000_0000_0000;

needs! {
    /// What the seed asks of the domains.
    pub struct SeedNeeds {
        catalog: CatalogPorts {
            list_products: ListProducts,
            add_product: AddProduct,
        }
        inventory: InventoryPorts {
            track_sku: TrackSku,
            receive_stock: ReceiveStock,
        }
        users: UsersPorts {
            create_user: CreateUser,
            change_password: ChangePassword,
        }
    }
}

/// Why the demo is not complete; the next start tries again.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("the demo's products: {0}")]
    Catalog(#[from] CatalogError),
    #[error("the demo's stock of {sku}: {error}")]
    Stock { sku: Sku, error: InventoryError },
    #[error("the demo's users: {0}")]
    Users(#[from] UsersError),
    #[error("{email} has another role than {wanted}; the demo leaves that account unchanged", wanted = wanted.as_str())]
    RoleDiffers { email: Email, wanted: Role },
    #[error("the demo's sign-ins: {0}")]
    File(#[from] PrivateFileError),
    #[error("the demo has a defect: {0}")]
    Defect(#[from] InvalidValue),
}

/// Seeds the demo when the catalog is empty, or when it has the demo without its sign-ins; answers whether it did.
///
/// Afterwards `<data_dir>/demo.json` (mode 0600) holds `{"admin": {"email", "password"}, "customer": {…}}`.
pub async fn seed_demo(data_dir: &Path, ports: &SeedNeeds) -> Result<bool, SeedError> {
    let file = data_dir.join("demo.json");
    let first = ListProducts { limit: Limit::DEFAULT, cursor: None, search: None, category: None };
    let first = ports.list_products.ask(first).await?.items.into_iter().next();
    let is_demo = |product: &Product| product.id.uuid().as_u128() == FIRST_PRODUCT;
    match first {
        None => {}
        // A shop with its own products is left alone.
        Some(product) if !is_demo(&product) => return Ok(false),
        Some(_) if file.exists() => return Ok(false),
        // The demo was interrupted, or its sign-ins were lost.
        Some(_) => {}
    }
    // A file of another database would mark an incomplete seed as complete.
    private_file::remove(&file)?;
    for (position, demo) in PRODUCTS.iter().enumerate() {
        let product = demo.product(position)?;
        ports.add_product.ask(AddProduct { product: NewProduct::new(product.clone())? }).await?;
        try_join_all(product.variants.iter().map(|variant| receive_first_pieces(ports, &variant.sku)))
            .await?;
    }
    let admin = sign_in_for(ports, "admin@shobai.example", "Shop Admin", Role::Admin).await?;
    let customer = sign_in_for(ports, "customer@shobai.example", "Hanako Sato", Role::Customer).await?;
    let form = |(email, password): &(Email, SecretString)| json!({"email": email.as_str(), "password": password.expose_secret()});
    let sign_ins = json!({"admin": form(&admin), "customer": form(&customer)});
    private_file::replace(&file, &format!("{sign_ins:#}\n").into())?;
    tracing::info!(products = PRODUCTS.len(), sign_ins = %file.display(), "the demo shop is ready");
    Ok(true)
}

async fn receive_first_pieces(ports: &SeedNeeds, sku: &Sku) -> Result<(), SeedError> {
    let quantity = first_pieces(sku)?;
    let reference = format!("demo-seed-{sku}");
    let received = async {
        ports.track_sku.ask(TrackSku { sku: sku.clone() }).await?;
        ports.receive_stock.ask(ReceiveStock { sku: sku.clone(), quantity, reference }).await
    };
    received.await.map_err(|error| SeedError::Stock { sku: sku.clone(), error })?;
    Ok(())
}

/// The pieces of a SKU: 100 to 500, the same in every run; very many of the hot SKU.
fn first_pieces(sku: &Sku) -> Result<Quantity, InvalidValue> {
    if sku.as_str() == HOT_SKU {
        return Quantity::new(HOT_PIECES);
    }
    let sum: i64 = sku.as_str().bytes().zip(1..).map(|(byte, place)| i64::from(byte) * place).sum();
    Quantity::new(100 + sum % 401)
}

/// Creates the account with a new password, or changes the password of an account that an earlier run created.
async fn sign_in_for(
    ports: &SeedNeeds,
    email: &str,
    name: &str,
    role: Role,
) -> Result<(Email, SecretString), SeedError> {
    let email: Email = email.parse()?;
    let (text, password) = random_password(&email)?;
    let wanted = CreateUser { email: email.clone(), password: password.clone(), name: name.parse()?, role };
    match ports.create_user.ask(wanted).await {
        Err(UsersError::EmailTaken(email)) => {
            match ports.change_password.ask(ChangePassword { email, role, password }).await {
                Err(UsersError::UnknownEmail(email)) => {
                    return Err(SeedError::RoleDiffers { email, wanted: role });
                }
                changed => changed?,
            }
        }
        created => created?,
    };
    Ok((email, text))
}

impl DemoProduct {
    fn product(&self, position: usize) -> Result<Product, InvalidValue> {
        Ok(Product {
            id: ProductId::from_uuid(Uuid::from_u128(FIRST_PRODUCT + position as u128)),
            name: self.name.to_owned(),
            description: self.description.to_owned(),
            category: self.category.parse()?,
            variants: self
                .variants
                .iter()
                .map(|(values, yen)| self.variant(values, *yen))
                .collect::<Result<_, _>>()?,
        })
    }

    fn variant(&self, values: &str, yen: i64) -> Result<Variant, InvalidValue> {
        let values: Vec<&str> = values.split('/').filter(|value| !value.is_empty()).collect();
        let mut sku = format!("SHOBAI-{}", self.code);
        for value in &values {
            sku.push('-');
            sku.push_str(&value.to_uppercase().replace(' ', "-"));
        }
        let attributes: BTreeMap<String, String> = self
            .axes
            .iter()
            .zip(&values)
            .map(|(axis, value)| ((*axis).to_owned(), (*value).to_owned()))
            .collect();
        Ok(Variant { sku: sku.parse()?, attributes, price: Money::yen(yen)?, tax_rate: self.tax_rate })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};
    use std::sync::{Arc, Mutex};

    use jiff::Timestamp;

    use super::*;
    use crate::actors::inventory::{Movement, MovementKind, Stock};
    use crate::actors::runtime::Port;
    use crate::actors::users::User;
    use crate::types::{CustomerId, Page, TaxRate};

    fn products() -> Vec<Product> {
        PRODUCTS.iter().enumerate().map(|(position, demo)| demo.product(position).unwrap()).collect()
    }

    #[test]
    fn the_demo_has_fifty_valid_products() {
        let products = products();
        assert_eq!(products.len(), 50);
        for (product, demo) in products.iter().zip(&PRODUCTS) {
            NewProduct::new(product.clone()).unwrap();
            assert!((1..=4).contains(&product.variants.len()), "{}", product.name);
            for variant in &product.variants {
                assert_eq!(variant.attributes.len(), demo.axes.len(), "{}", variant.sku);
            }
        }
        let skus: HashSet<&Sku> =
            products.iter().flat_map(|product| &product.variants).map(|variant| &variant.sku).collect();
        assert_eq!(skus.len(), products.iter().map(|product| product.variants.len()).sum::<usize>());
        assert!(skus.iter().any(|sku| sku.as_str() == "SHOBAI-TEE-01-M-INDIGO"));
        for sku in skus {
            let pieces = first_pieces(sku).unwrap().get();
            assert!((100..=500).contains(&pieces) || (sku.as_str() == HOT_SKU && pieces == 1_000_000));
        }
        let names: HashSet<&str> = products.iter().map(|product| product.name.as_str()).collect();
        assert_eq!(names.len(), 50);
    }

    #[test]
    fn the_hot_sku_keeps_its_price_and_food_has_the_reduced_rate() {
        for product in products() {
            let food = ["tea", "sweets", "pantry"].contains(&product.category.as_str());
            for variant in &product.variants {
                assert_eq!(variant.tax_rate == TaxRate::Reduced, food, "{}", variant.sku);
                assert!(
                    variant.sku.as_str() != HOT_SKU
                        || (variant.price.amount(), variant.tax_rate) == (1_980, TaxRate::Standard)
                );
            }
        }
        let ids: Vec<ProductId> = products().iter().map(|product| product.id).collect();
        assert!(ids.is_sorted() && ids[49] < ProductId::generate());
        assert_eq!(ids[0].uuid().get_version_num(), 7);
    }

    /// Domains that record their messages, and fail after a number of them.
    #[derive(Default)]
    struct Fakes {
        asks_left: usize,
        products: BTreeMap<ProductId, Product>,
        received: BTreeMap<String, (Sku, Quantity)>,
        users: BTreeMap<String, (Role, String)>,
    }

    type Shared = Arc<Mutex<Fakes>>;

    fn ask(fakes: &Shared) -> Result<std::sync::MutexGuard<'_, Fakes>, String> {
        let mut fakes = fakes.lock().unwrap();
        fakes.asks_left = fakes.asks_left.checked_sub(1).ok_or("killed")?;
        Ok(fakes)
    }

    fn ports(fakes: &Shared) -> SeedNeeds {
        let broken = |error: String| crate::storage::StorageError::Broken(error);
        let user = |email: &Email, role| User {
            id: CustomerId::generate(),
            email: email.clone(),
            name: "x".parse().unwrap(),
            role,
            created_at: Timestamp::now(),
        };
        let port = |fakes: &Shared| fakes.clone();
        let (list, add, create, change, receive) =
            (port(fakes), port(fakes), port(fakes), port(fakes), port(fakes));
        SeedNeeds {
            list_products: Port::new(move |_| {
                let items = list.lock().unwrap().products.values().cloned().collect();
                Box::pin(async move { Ok(Page { items, next: None }) })
            }),
            add_product: Port::new(move |AddProduct { product }| {
                let product = product.product().clone();
                let added = ask(&add).map(|mut fakes| {
                    fakes.products.entry(product.id).or_insert_with(|| product.clone());
                    product
                });
                Box::pin(async move { Ok(added.map_err(broken)?) })
            }),
            track_sku: Port::new(move |_| {
                let stock = Stock { on_hand: 0, reserved: 0, allotted: 0, version: 1 };
                Box::pin(async move { Ok(stock) })
            }),
            receive_stock: Port::new(move |ReceiveStock { sku, quantity, reference }| {
                let received = ask(&receive).map(|mut fakes| {
                    let first = fakes.received.entry(reference.clone()).or_insert((sku.clone(), quantity));
                    assert_eq!(*first, (sku.clone(), quantity));
                    Movement {
                        sku,
                        version: 2,
                        kind: MovementKind::Received,
                        on_hand_delta: quantity.get(),
                        reserved_delta: 0,
                        allotted_delta: 0,
                        reservation: None,
                        reference: Some(reference),
                        reason: None,
                        at: Timestamp::now(),
                    }
                });
                Box::pin(async move { Ok(received.map_err(broken)?) })
            }),
            create_user: Port::new(move |wanted: CreateUser| {
                let created = ask(&create).map(|mut fakes| {
                    let email = wanted.email.as_str().to_owned();
                    if fakes.users.contains_key(&email) {
                        return Err(UsersError::EmailTaken(wanted.email));
                    }
                    fakes.users.insert(email, (wanted.role, "created".to_owned()));
                    Ok(user(&wanted.email, wanted.role))
                });
                Box::pin(async move { created.map_err(broken)? })
            }),
            change_password: Port::new(move |wanted: ChangePassword| {
                let changed = ask(&change).map(|mut fakes| {
                    let account = fakes.users.get_mut(wanted.email.as_str()).unwrap();
                    if account.0 != wanted.role {
                        return Err(UsersError::UnknownEmail(wanted.email));
                    }
                    account.1 = "changed".to_owned();
                    Ok(user(&wanted.email, account.0))
                });
                Box::pin(async move { changed.map_err(broken)? })
            }),
        }
    }

    #[actix::test]
    async fn a_seed_killed_at_any_point_is_completed_without_duplicates() {
        let data_dir = std::env::temp_dir().join(format!("shobai-{}", Uuid::now_v7()));
        let fakes = Shared::default();
        let ports = ports(&fakes);
        let skus: usize = products().iter().map(|product| product.variants.len()).sum();
        let mut asks = 0;
        loop {
            fakes.lock().unwrap().asks_left = asks;
            asks += 1;
            match seed_demo(&data_dir, &ports).await {
                Ok(seeded) => break assert!(seeded),
                Err(_) => assert!(!data_dir.join("demo.json").exists()),
            }
        }
        // The last killed run had created the admin.
        assert!(asks > 50 + skus);
        assert_eq!(fakes.lock().unwrap().users["admin@shobai.example"].1, "changed");
        fakes.lock().unwrap().asks_left = usize::MAX;
        assert!(!seed_demo(&data_dir, &ports).await.unwrap());
        {
            let fakes = fakes.lock().unwrap();
            assert_eq!((fakes.products.len(), fakes.received.len(), fakes.users.len()), (50, skus, 2));
            assert_eq!(fakes.users["admin@shobai.example"].0, Role::Admin);
        }
        let demo: serde_json::Value =
            serde_json::from_slice(&std::fs::read(data_dir.join("demo.json")).unwrap()).unwrap();
        assert_eq!(demo["customer"]["email"], "customer@shobai.example");
        assert_eq!(demo["admin"]["password"].as_str().unwrap().len(), 24);

        // After the loss of the products or of the file, the seed restores both.
        fakes.lock().unwrap().products.clear();
        assert!(seed_demo(&data_dir, &ports).await.unwrap());
        std::fs::remove_file(data_dir.join("demo.json")).unwrap();
        assert!(seed_demo(&data_dir, &ports).await.unwrap());
        assert_eq!(fakes.lock().unwrap().users["admin@shobai.example"].1, "changed");
        std::fs::remove_dir_all(data_dir).unwrap();
    }

    #[actix::test]
    async fn a_shop_with_products_and_an_existing_account_stay_unchanged() {
        let data_dir = std::env::temp_dir().join(format!("shobai-{}", Uuid::now_v7()));
        let fakes = Shared::default();
        let ports = ports(&fakes);
        fakes.lock().unwrap().asks_left = usize::MAX;
        let own = Product { id: ProductId::generate(), ..products().remove(0) };
        fakes.lock().unwrap().products.insert(own.id, own);
        assert!(!seed_demo(&data_dir, &ports).await.unwrap());
        assert!(!data_dir.join("demo.json").exists());
        {
            let mut fakes = fakes.lock().unwrap();
            assert_eq!((fakes.products.len(), fakes.received.len(), fakes.users.len()), (1, 0, 0));
            fakes.products.clear();
            let somebody = (Role::Customer, "their own".to_owned());
            fakes.users.insert("admin@shobai.example".to_owned(), somebody);
        }
        let refused = seed_demo(&data_dir, &ports).await.unwrap_err();
        assert!(matches!(refused, SeedError::RoleDiffers { wanted: Role::Admin, .. }), "{refused}");
        assert_eq!(fakes.lock().unwrap().users["admin@shobai.example"].1, "their own");
        let _ = std::fs::remove_dir_all(data_dir);
    }
}
