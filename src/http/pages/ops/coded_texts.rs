//! The texts of what the sales domain names by a code: statuses, actions and their effects, gates, refusals, fields.

use super::translations::OpsTexts;
use crate::http::pages::kit::{Language, coded_translations, fill};

coded_translations! {
    OpsTexts {
        "status draft": "Draft", "下書き";
        "status scheduled": "Scheduled", "公開予約済み";
        "status armed": "Armed", "準備完了";
        "status open": "Open", "販売中";
        "status paused": "Paused", "一時停止";
        "status draining": "Draining", "受付終了・支払い待ち";
        "status closed": "Closed", "終了";
        "status settled": "Settled", "締め処理済み";
        "status cancelled": "Cancelled", "中止";

        "action schedule": "Schedule", "公開を予約";
        "action arm": "Arm", "準備する";
        "action open": "Open", "開始";
        "action pause": "Pause", "一時停止";
        "action resume": "Resume", "再開";
        "action drain": "Drain", "受付を終える";
        "action close": "Close", "終了する";
        "action cancel": "Cancel the sale", "中止する";
        "action settle": "Settle", "締め処理をする";
        "action kill": "Kill", "緊急停止";
        "action kill-everything": "All orders killed", "全体の緊急停止";
        "action resume-everything": "All orders resumed", "全体の再開";
        "action propose-everything": "Proposed for all orders", "全体への提案";
        "action withdraw-everything": "Withdrawn for all orders", "全体への提案の取り下げ";
        "action lapse-everything": "Lapsed for all orders", "全体への提案の期限切れ";
        "action allot": "Change the allotment", "販売数を変更";
        "action change_item": "Allotment changed", "販売数の変更";
        "action lower": "Lower the allotment", "販売数を減らす";
        "action propose": "Proposed", "提案";
        "action withdraw": "Withdrawn", "取り下げ";
        "action lapse": "Lapsed", "期限切れ";
        "action create": "Planned", "計画";
        "action replan": "Plan changed", "計画の変更";

        "effect schedule": "The sale is armed automatically shortly before it opens, and opens at its time. Its plan can no longer be edited.",
            "開始直前に自動で準備され、開始時刻に販売が始まります。計画は編集できなくなります。";
        "effect arm": "The pieces of every SKU are moved from general stock to the sale now.",
            "すべてのSKUの販売数を通常在庫から取り分けます。";
        "effect pause": "No new orders until it is resumed. Customers who hold pieces can still pay.",
            "再開するまで新しい注文を受け付けません。引当済みのお客様は支払いできます。";
        "effect resume": "Orders are accepted again at once, except where another switch still stops them.",
            "ただちに注文の受付を再開します。別の緊急停止が働いているものは停止したままです。";
        "effect resume-paused": "The pause ends. The sale stays stopped by its switch until it is resumed once more.",
            "一時停止を解除します。緊急停止は続き、もう一度再開するまで受け付けません。";
        "effect resume-stopped": "The sale's switch is released. The sale stays paused until it is resumed once more.",
            "緊急停止を解除します。一時停止は続き、もう一度再開するまで受け付けません。";
        "effect drain": "New orders are refused from now on, and this cannot be undone. Customers who hold pieces can still pay.",
            "以後の注文はできなくなり、取り消せません。引当済みのお客様は支払いできます。";
        "effect close": "The sale ends now, and this cannot be undone. The remaining pieces go back to general stock.",
            "セールをただちに終了し、取り消せません。残りは通常在庫へ戻ります。";
        "effect cancel": "The sale is called off, and this cannot be undone. The remaining pieces go back to general stock.",
            "セールを中止し、取り消せません。残りは通常在庫へ戻ります。";
        "effect settle": "The sale is settled. It cannot be changed afterwards.", "セールの締め処理をします。以後の操作はできません。";
        "effect kill": "Customers cannot order anything of this sale from now on, until it is resumed. Staff can still order.",
            "再開するまで、このセールへのお客様の注文をただちに緊急停止します。スタッフは注文できます。";
        "effect kill-item": "Customers cannot order this SKU from now on, until it is resumed. Staff can still order.",
            "再開するまで、このSKUへのお客様の注文をただちに緊急停止します。スタッフは注文できます。";
        "effect kill-everything": "All orders of customers are stopped at once, also outside of sales, until it is resumed. Staff can still order.",
            "再開するまで、セール以外も含めてお客様の注文をただちにすべて緊急停止します。スタッフは注文できます。";
        "effect withdraw": "The proposal stops waiting. To do it after all, propose it again.",
            "承認待ちから外します。必要な場合はあらためて提案してください。";
        "effect allot": "Pieces move between the sale and general stock at once. Pieces that are held or sold stay.",
            "セールと通常在庫の間でただちに個数を移します。引当中・販売済みの個数は変わりません。";

        "gate sale-not-open": "Not open", "販売時間外";
        "gate sale-paused": "Paused", "一時停止中";
        "gate stopped": "Stopped", "緊急停止中";
        "gate not-admitted": "Not admitted", "未入場";
        "gate limit-reached": "Limit reached", "上限到達";
        "gate konbini-not-allowed": "Konbini not allowed", "コンビニ不可";
        "gate konbini-share-reached": "Konbini share reached", "コンビニ枠超過";
        "gate two-sales": "Two sales", "複数セール";
        "gate sold-out": "Sold out", "完売";
        "gate too-fast": "Too fast", "間隔不足";
        "gate too-many-unpaid": "Too many unpaid", "未払い過多";
        "gate payment-declined": "Card declined", "カード否認";

        "admission none": "Open to all", "制限なし";
        "admission queue": "Queue", "先着順（待合室）";
        "admission lottery": "Lottery", "抽選";

        "refusal sale-is-on": "a sale is running or about to open, and its buyers need the machine",
            "販売中または開始直前のセールがあり、サーバーはそのお客様のために使われます";
        "refusal dry-run-under-way": "another dry run is under way", "別のリハーサルが実行中です";
        "refusal no-dry-run-database": "the engine may not create the database that a dry run needs",
            "リハーサル用のデータベースを作成する権限がありません";
        "refusal unknown-sale": "There is no such sale.", "そのセールはありません。";
        "refusal unknown-item": "The sale has no such SKU.", "このセールにそのSKUはありません。";
        "refusal unknown-sku": "There is no such SKU.", "そのSKUはありません。";
        "refusal not-a-draft": "Only drafts can be edited.", "編集できるのは下書きだけです。";
        "refusal sale-not-valid": "The plan has problems.", "計画に問題があります。";
        "refusal sale-not-ready": "Not all of its SKUs are ready.", "準備できていないSKUがあります。";
        "refusal orders-open": "Some of its orders are not paid yet.", "未払いの注文が残っています。";
        "refusal unknown-proposal": "The proposal is no longer waiting: it was carried out, withdrawn, or has lapsed.",
            "すでに実行・取り下げ済みか、期限切れです。";
        "refusal too-many-proposals": "Too many proposals are waiting for a second operator.", "承認待ちが多すぎます。";
        "refusal not-in-status": "The status of the sale does not allow it.", "セールの状態により、この操作はできません。";
        "refusal paused-and-stopped": "The sale is paused and stopped. Say which of the two ends.",
            "一時停止と緊急停止の両方が働いています。どちらを解除するか指定してください。";
        "refusal overtaken": "Another operator changed the sale at the same time.", "同時に別の担当者が変更しました。";
        "refusal below-promised": "More pieces than that are held or sold already.", "すでに引当・販売された数を下回ります。";
        "refusal allotment-differs": "The allotment has changed meanwhile. Check it and try again.",
            "販売数がその間に変わりました。確認してやり直してください。";
        "refusal too-few-to-allot": "General stock has too few pieces.", "通常在庫が足りません。";
        "refusal not-allotted": "No pieces of this SKU are allotted to the sale.", "このSKUにはセールの販売数が設定されていません。";
        "refusal staff-only": "Only staff may enter.", "スタッフのみ利用できます。";

        "field name": "Name", "名前";
        "field opens_at": "Opens at", "開始日時";
        "field closes_at": "Closes at", "終了日時";
        "field items": "Items", "商品";
        "field sku": "SKU", "SKU";
        "field price": "Price", "価格";
        "field allotment": "Allotment", "販売数";
        "field limit_per_customer": "Pieces for each customer", "お一人様の上限";
        "field hold_seconds.card": "Hold for card payments", "カード決済の引当時間";
        "field hold_seconds.konbini": "Hold for konbini payments", "コンビニ決済の引当時間";
        "field konbini.allowed": "Konbini payments", "コンビニ払い";
        "field konbini.share_max": "Share for konbini slips", "コンビニ支払い待ちの上限";
        "field admission.mode": "Admission", "入場方式";
        "field admission.per_second": "Customers let in per second", "毎秒の入場人数";
        "field status": "Status", "状態";
        "field stopped": "Stopped", "緊急停止";
        "field proposed": "Proposed", "提案";

        "finding name": "1〜100 characters", "1〜100文字で入力してください";
        "finding opens_at": "a time", "日時を確認してください";
        "finding closes_at": "after the opening, in the future", "開始より後の、未来の日時にしてください";
        "finding items": "1 to 1,000 rows", "商品を1〜1,000行で入力してください";
        "finding sku": "a SKU of the catalogue, once, in no other sale then", "カタログにあり、重複せず、同時期の他のセールにないSKUにしてください";
        "finding allotment": "as many pieces as are available", "在庫を超えない個数にしてください";
        "finding limit_per_customer": "at least 1", "1以上にしてください";
        "finding hold_seconds.card": "at least 1 second, at most what stock may be held", "1秒以上、引当できる最長時間以下にしてください";
        "finding hold_seconds.konbini": "at least 1 second, at most what stock may be held",
            "1秒以上、引当できる最長時間以下にしてください";
        "finding konbini.share_max": "0 to 100 %", "0〜100%にしてください";
        "finding admission.per_second": "at least 1", "1以上にしてください";
    }
}

impl OpsTexts {
    pub fn status(&self, status: &'static str) -> &'static str {
        self.coded(&format!("status {status}")).unwrap_or(status)
    }

    pub fn action(&self, action: &str) -> String {
        self.coded(&format!("action {action}")).unwrap_or(action).to_owned()
    }

    /// What an action will do, for its confirmation; empty for an action without a confirmation.
    pub fn effect(&self, action: &str) -> &'static str {
        self.coded(&format!("effect {action}")).unwrap_or_default()
    }

    pub fn gate(&self, gate: &'static str) -> &'static str {
        self.coded(&format!("gate {gate}")).unwrap_or(gate)
    }

    pub fn admission<'a>(&self, mode: &'a str) -> &'a str {
        self.coded(&format!("admission {mode}")).unwrap_or(mode)
    }

    /// Why something was refused, by the refusal's code.
    pub fn refusal_text(&self, code: &str) -> Option<&'static str> {
        self.coded(&format!("refusal {code}"))
    }

    /// The name of a field of a plan, for example `items[2].allotment`.
    pub fn field(&self, field: &str) -> String {
        let Some((number, part)) = field.strip_prefix("items[").and_then(|rest| rest.split_once(']')) else {
            return self.coded(&format!("field {field}")).unwrap_or(field).to_owned();
        };
        let number = number.parse::<usize>().map_or_else(|_| number.to_owned(), |it| (it + 1).to_string());
        let row = fill(self.row_numbered, &[&number]);
        match self.coded(&format!("field {}", part.trim_start_matches('.'))) {
            Some(part) => format!("{row}, {part}"),
            None => row,
        }
    }

    /// What is wrong with a field of a plan: in English as the domain words it, in Japanese the rule of the field.
    pub fn finding(&self, field: &str, problem: &str) -> String {
        let part = field.rsplit("].").next().unwrap_or(field);
        match (self.language, self.coded(&format!("finding {part}"))) {
            (Language::Japanese, Some(rule)) => rule.to_owned(),
            _ => problem.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::sales::{Action, GATES, SaleStatus};
    use crate::actors::waiting_room::AdmissionMode;
    use crate::http::pages::kit::{Catalogue as _, assert_translated};

    #[test]
    fn every_text_exists_in_both_languages() {
        assert_translated(OpsTexts::CODED, &["field sku"]);
    }

    #[test]
    fn every_code_of_the_domain_has_a_text() {
        for texts in [Language::English, Language::Japanese].map(OpsTexts::of) {
            let codes = SaleStatus::ALL
                .iter()
                .map(|status| format!("status {}", status.as_str()))
                .chain(Action::ALL.iter().map(|action| format!("action {}", action.as_str())))
                .chain(GATES.map(|gate| format!("gate {gate}")))
                .chain(
                    [AdmissionMode::None, AdmissionMode::Queue, AdmissionMode::Lottery]
                        .map(|mode| format!("admission {}", mode.as_str())),
                );
            for code in codes {
                assert!(texts.coded(&code).is_some(), "{code}");
            }
            // Every member of a plan, as the history names it.
            for field in [
                "name",
                "opens_at",
                "closes_at",
                "items",
                "limit_per_customer",
                "hold_seconds.card",
                "hold_seconds.konbini",
                "konbini.allowed",
                "konbini.share_max",
                "admission.mode",
                "admission.per_second",
            ] {
                assert!(texts.coded(&format!("field {field}")).is_some(), "{field}");
            }
            // The schedule alone opens a sale, without a confirmation.
            for action in Action::ALL.iter().copied().filter(|action| *action != Action::Open) {
                assert!(!texts.effect(action.as_str()).is_empty(), "{action:?}");
            }
        }
    }

    #[test]
    fn a_field_of_a_row_is_named_with_its_row() {
        let (english, japanese) = (OpsTexts::of(Language::English), OpsTexts::of(Language::Japanese));
        assert_eq!(english.field("items[1].allotment"), "row 2, Allotment");
        assert_eq!(japanese.field("items[0]"), "1行目");
        assert_eq!(english.field("hold_seconds.card"), "Hold for card payments");
        assert_eq!(english.finding("items[0].sku", "LAMP is named before"), "LAMP is named before");
        assert!(japanese.finding("items[0].sku", "LAMP is named before").contains("重複"));
    }
}
