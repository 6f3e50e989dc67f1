//! The products of the demo: fifty products of a fictional shop in Kyoto.

use crate::types::TaxRate;
use crate::types::TaxRate::{Reduced, Standard};

/// The SKU for flash sales and load tests.
pub const HOT_SKU: &str = "SHOBAI-HOT-1";
pub(super) const HOT_PIECES: i64 = 1_000_000;

/// A product of the demo; its position in [`PRODUCTS`] determines its id, so new ones go to the end.
pub(super) struct DemoProduct {
    /// The part of each SKU between `SHOBAI-` and the variant.
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) category: &'static str,
    pub(super) tax_rate: TaxRate,
    pub(super) description: &'static str,
    /// The names of the attributes.
    pub(super) axes: &'static [&'static str],
    /// The values of the attributes, with `/` between, and the price in yen, tax included.
    pub(super) variants: &'static [(&'static str, i64)],
}

const fn product(
    code: &'static str,
    name: &'static str,
    category: &'static str,
    tax_rate: TaxRate,
    description: &'static str,
    axes: &'static [&'static str],
    variants: &'static [(&'static str, i64)],
) -> DemoProduct {
    DemoProduct { code, name, category, tax_rate, description, axes, variants }
}

#[rustfmt::skip]
pub(super) const PRODUCTS: [DemoProduct; 50] = [
    product("HOT-1", "Kyoto Night Lantern", "lighting", Standard,
        "A folding lantern of washi and bamboo, sold once a year at midnight", &[], &[("", 1_980)]),

    // clothing
    product("TEE-01", "Indigo Tee", "clothing", Standard,
        "Heavy cotton, dyed in Tokushima with natural indigo", &["size", "colour"],
        &[("S/indigo", 4_400), ("M/indigo", 4_400), ("L/indigo", 4_400), ("M/white", 3_850)]),
    product("TEE-02", "Seigaiha Wave Tee", "clothing", Standard,
        "A light tee with a screen-printed pattern of waves", &["size"],
        &[("S", 3_520), ("M", 3_520), ("L", 3_520)]),
    product("HAORI-01", "Linen Haori", "clothing", Standard,
        "An open jacket of Omi linen for early summer", &["size", "colour"],
        &[("M/charcoal", 16_500), ("L/charcoal", 16_500), ("M/sage", 16_500), ("L/sage", 16_500)]),
    product("HAPPI-01", "Festival Happi", "clothing", Standard,
        "A cotton festival coat with a plain collar", &["size"], &[("M", 7_700), ("L", 7_700)]),
    product("TABI-01", "Split-toe Tabi Socks", "clothing", Standard,
        "Knitted without a seam at the toe", &["size", "colour"],
        &[("24/indigo", 1_320), ("26/indigo", 1_320), ("24/rust", 1_320), ("26/rust", 1_320)]),
    product("TENUGUI-01", "Asanoha Tenugui", "clothing", Standard,
        "A hand-dyed cotton cloth with a pattern of hemp leaves", &["colour"],
        &[("indigo", 1_430), ("plum", 1_430), ("moss", 1_430)]),
    product("FUROSHIKI-01", "Furoshiki Wrap", "clothing", Standard,
        "Seventy centimetres of cotton that become a bag in three knots", &["colour"],
        &[("wisteria", 2_200), ("persimmon", 2_200)]),
    product("SCARF-01", "Silk Shibori Scarf", "clothing", Standard,
        "Tied and dyed by hand in Arimatsu, no two alike", &["colour"], &[("indigo", 13_200), ("madder", 13_200)]),

    // tea, which is food
    product("TEA-01", "Uji Sencha", "tea", Reduced,
        "First harvest from Uji, steamed deep", &["weight"], &[("100g", 1_296), ("200g", 2_484)]),
    product("TEA-02", "Ceremonial Matcha", "tea", Reduced,
        "Stone-ground for thick tea", &["weight"], &[("20g", 1_944), ("40g", 3_672), ("100g", 8_640)]),
    product("TEA-03", "Roasted Hojicha", "tea", Reduced,
        "Stems roasted over charcoal", &["weight"], &[("100g", 756), ("300g", 1_944)]),
    product("TEA-04", "Genmaicha", "tea", Reduced,
        "Green tea with roasted brown rice", &["form"], &[("loose leaf", 648), ("tea bags", 864)]),
    product("TEA-05", "Gyokuro from Yame", "tea", Reduced,
        "Three weeks in the shade before the harvest", &["weight"], &[("50g", 2_160), ("100g", 4_104)]),
    product("TEA-06", "Barley Tea", "tea", Reduced,
        "Cold-brew bags for a summer's worth of jugs", &["pack"], &[("30 bags", 432)]),

    // sweets, which are food
    product("SWEET-01", "Yatsuhashi", "sweets", Reduced,
        "Soft cinnamon dough folded over bean paste", &["filling"],
        &[("cinnamon", 702), ("matcha", 702), ("sesame", 756)]),
    product("SWEET-02", "Wasanbon Dry Sweets", "sweets", Reduced,
        "Fine sugar from Shikoku, pressed into flowers", &["pack"], &[("12 pieces", 1_080), ("24 pieces", 1_998)]),
    product("SWEET-03", "Yokan", "sweets", Reduced,
        "Firm bean jelly that keeps for a year", &["flavour"],
        &[("red bean", 1_404), ("chestnut", 1_836), ("black sugar", 1_512)]),
    product("SWEET-04", "Konpeito", "sweets", Reduced,
        "Sugar stars, sixteen days in the making", &["flavour"], &[("plain", 594), ("yuzu", 648), ("peach", 648)]),
    product("SWEET-05", "Mochi Selection", "sweets", Reduced,
        "Six rice cakes with fillings of the season", &[], &[("", 1_296)]),
    product("SWEET-06", "Castella", "sweets", Reduced,
        "Sponge cake from Nagasaki with coarse sugar at the bottom", &["flavour"], &[("honey", 1_728), ("matcha", 1_836)]),
    product("SWEET-07", "Senbei Tin", "sweets", Reduced,
        "Rice crackers glazed with soy sauce", &["flavour"], &[("soy", 1_188), ("seaweed", 1_188), ("chilli", 1_188)]),

    // pantry, which is food
    product("RICE-01", "Koshihikari Rice", "pantry", Reduced,
        "This year's harvest from Uonuma, polished to order", &["weight"], &[("2kg", 2_376), ("5kg", 5_616)]),
    product("SOY-01", "Two-year Soy Sauce", "pantry", Reduced,
        "Fermented in cedar barrels on Shodoshima", &["size"], &[("150ml", 756), ("500ml", 1_620)]),
    product("MISO-01", "Hatcho Miso", "pantry", Reduced,
        "Dark miso, two summers under stones", &["weight"], &[("300g", 702), ("900g", 1_836)]),
    product("DASHI-01", "Dashi Packs", "pantry", Reduced,
        "Bonito, kelp and shiitake, ready for the pot", &["pack"], &[("10 packs", 918), ("30 packs", 2_484)]),
    product("SOBA-01", "Shinshu Soba", "pantry", Reduced,
        "Dried buckwheat noodles, eight parts to two", &["weight"], &[("200g", 432), ("1kg", 1_944)]),
    product("UDON-01", "Sanuki Udon", "pantry", Reduced,
        "Thick noodles with a bite", &["weight"], &[("300g", 378)]),
    product("NORI-01", "Ariake Nori", "pantry", Reduced,
        "First-picked seaweed, roasted twice", &["pack"], &[("10 sheets", 972), ("30 sheets", 2_646)]),
    product("SHICHIMI-01", "Seven-spice Shichimi", "pantry", Reduced,
        "Blended with sansho from Wakayama", &["heat"], &[("mild", 594), ("hot", 594)]),
    product("UME-01", "Kishu Umeboshi", "pantry", Reduced,
        "Salted plums from Wakayama", &["taste"], &[("salt", 1_296), ("honey", 1_404)]),

    // tableware
    product("BOWL-01", "Kyo-yaki Rice Bowl", "tableware", Standard,
        "Thrown and painted in Kyoto", &["glaze"], &[("celadon", 3_850), ("white", 3_630), ("tenmoku", 4_180)]),
    product("BOWL-02", "Lacquer Soup Bowl", "tableware", Standard,
        "Urushi on zelkova from Wajima", &["colour"], &[("black", 9_900), ("vermilion", 9_900)]),
    product("CUP-01", "Yunomi Tea Cup", "tableware", Standard,
        "A tall cup for every day", &["glaze"], &[("ash", 2_420), ("cobalt", 2_420)]),
    product("POT-01", "Kyusu Teapot", "tableware", Standard,
        "Side-handled, with a sieve cut from the clay", &["clay"], &[("red", 6_600), ("black", 6_600)]),
    product("POT-02", "Nambu Iron Kettle", "tableware", Standard,
        "Cast in Morioka, good for a lifetime", &["size"], &[("0.6l", 13_200), ("1.2l", 18_700)]),
    product("CHOPSTICK-01", "Cherrywood Chopsticks", "tableware", Standard,
        "Tapered to a fine point", &["length"], &[("21cm", 1_320), ("23cm", 1_320)]),
    product("WHISK-01", "Bamboo Matcha Whisk", "tableware", Standard,
        "A hundred tines, split by hand in Takayama", &[], &[("", 3_520)]),
    product("SAKE-01", "Sake Set", "tableware", Standard,
        "A flask and two cups of Bizen clay, fired without glaze", &[], &[("", 7_480)]),

    // kitchen
    product("KNIFE-01", "Santoku Knife", "kitchen", Standard,
        "Three layers of steel from Sakai", &["blade"], &[("165mm", 14_300), ("180mm", 15_400)]),
    product("KNIFE-02", "Petty Knife", "kitchen", Standard,
        "The small one that is always in the hand", &["blade"], &[("120mm", 9_350)]),
    product("DONABE-01", "Iga Donabe", "kitchen", Standard,
        "A clay pot for rice and winter evenings", &["size"], &[("for 2", 9_680), ("for 4", 13_970)]),
    product("BENTO-01", "Cedar Bento Box", "kitchen", Standard,
        "Bent cedar from Odate that keeps rice moist", &["size"], &[("500ml", 8_250), ("700ml", 9_350)]),

    // stationery
    product("NOTE-01", "Washi Notebook", "stationery", Standard,
        "Paper from Mino, sewn to lie flat", &["size"], &[("A6", 1_100), ("A5", 1_540)]),
    product("PEN-01", "Brush Pen", "stationery", Standard,
        "A brush tip that forgives", &["ink"], &[("black", 660), ("grey", 660), ("vermilion", 660)]),
    product("INK-01", "Calligraphy Ink Stick", "stationery", Standard,
        "Pine soot and glue from Nara", &[], &[("", 2_750)]),
    product("TAPE-01", "Washi Tape Set", "stationery", Standard,
        "Five rolls in the colours of a season", &["season"],
        &[("spring", 990), ("summer", 990), ("autumn", 990), ("winter", 990)]),

    // home
    product("INCENSE-01", "Kyoto Incense", "home", Standard,
        "Rolled in a workshop that has done so since 1705", &["scent"],
        &[("sandalwood", 1_650), ("hinoki", 1_650), ("plum", 1_650)]),
    product("BATH-01", "Hinoki Bath Salts", "home", Standard,
        "An evening in the mountains", &["weight"], &[("250g", 1_210), ("1kg", 3_740)]),
    product("BELL-01", "Glass Wind Bell", "home", Standard,
        "Painted from the inside, as in Edo", &["motif"], &[("goldfish", 2_310), ("firework", 2_310)]),
];
