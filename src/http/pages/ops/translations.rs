//! The texts of the operators' pages, in English and in Japanese side by side.

use crate::http::pages::kit::{PageTexts, fill, translations};
use crate::types::grouped;

translations! {
    /// The texts of the operators' pages in one language.
    pub struct OpsTexts {
        title: "Shobai operations", "商売 オペレーション";
        sales: "Sales", "セール一覧";
        new_sale: "New sale", "新しいセール";
        edit_sale: "Edit the plan", "計画を編集";
        sign_in_lead: "Flash sales are planned, watched and stopped here. Only staff may enter.",
            "セールの計画・監視・停止を行う画面です。スタッフのみ利用できます。";
        not_admitted: "This account is not staff. Ask an admin for access.", "このアカウントはスタッフではありません。管理者に権限を依頼してください。";
        name: "Name", "名前";
        skus: "SKUs", "SKU";
        pieces: "Pieces", "個数";
        no_sales: "No sale has been planned yet.", "まだセールがありません。";
        running: "Running", "進行中";
        planned: "Planned", "予定";
        over: "Over", "終了";
        calendar: "Calendar", "カレンダー";
        month_before: "Previous month", "前の月";
        month_after: "Next month", "次の月";
        weekdays: "Sun Mon Tue Wed Thu Fri Sat", "日 月 火 水 木 金 土";
        everything_runs: "Orders are being taken.", "注文を受け付けています。";
        everything_stopped: "All orders of customers are stopped.", "お客様の注文をすべて緊急停止しています。";
        everything_unknown: "The switch for all orders", "全体の緊急停止";
        stop_everything: "Stop everything", "すべて緊急停止";
        resume_everything: "Take orders again", "受付を再開";
        is_stopped: "Stopped by its switch", "緊急停止中";
        opens_in: "Opens in", "開始まで";
        closes_in: "Closes in", "終了まで";
        has_closed: "Has ended", "終了済み";
        to: "to", "〜";
        sku: "SKU", "SKU";
        price: "Price (¥, tax included)", "価格（円・税込）";
        allotment: "Allotment", "販売数";
        remaining: "Remaining", "残り";
        held: "Held, unpaid", "引当中（未払い）";
        sold: "Paid", "支払い済み";
        expired: "Expired", "期限切れ";
        lapsed: "Returned in all", "戻り合計";
        forecast: "Sells out in", "完売見込み";
        sold_out: "Sold out", "完売";
        no_forecast: "–", "–";
        change_allotment: "Change", "変更";
        change_allotment_of: "Change the allotment of {}", "{} の販売数を変更";
        stop_sku: "Stop", "緊急停止";
        resume_sku: "Resume", "再開";
        stop_sku_of: "Stop {}", "{} を緊急停止";
        resume_sku_of: "Resume {}", "{} を再開";
        not_armed_yet: "The figures begin when the sale is armed.", "準備が完了すると数字が表示されます。";
        attempts: "Attempts", "注文試行";
        accepted: "Accepted", "注文成立";
        refused: "Refused", "受付不可";
        attempts_chart: "Attempts and accepted per second", "毎秒の注文試行と注文成立";
        refusals_chart: "Refusals per second, by gate", "毎秒の受付不可（理由別）";
        totals: "Since counting began", "計測開始からの合計";
        live: "Live", "ライブ";
        connecting: "Connecting …", "接続中…";
        overtaken: "Another operator changed the plan after you opened it, so nothing was saved. Save again to replace that plan with yours.",
            "開いた後に別の担当者が計画を変更したため、保存していません。もう一度保存すると、入力した内容で置き換えます。";
        reconnecting: "Connection lost, trying again …", "接続が切れました。再接続中…";
        needs_script: "Live figures need JavaScript. Load the page again for new ones.",
            "ライブ表示にはJavaScriptが必要です。再読み込みで更新できます。";
        controls: "Controls", "操作";
        no_controls: "Nothing more can be done to this sale.", "このセールに対する操作はもうありません。";
        history: "History", "変更履歴";
        who: "Who", "実行者";
        when: "When", "日時";
        what: "What", "内容";
        why: "Why", "理由";
        change: "Before → after", "変更前 → 変更後";
        the_schedule: "the schedule", "スケジュール";
        proposed_by: "{} (proposed by {})", "{}（提案：{}）";
        proposals: "Waiting for a second operator", "承認待ち";
        proposed: "Not done yet: it waits until another operator does the same.",
            "まだ実行していません。別の担当者が同じ操作をすると実行されます。";
        lapses_at: "Lapses at", "有効期限";
        confirm: "Confirm", "承認";
        withdraw: "Withdraw", "取り下げ";
        lower_of: "{}: allotment {} → {}", "{}：販売数 {} → {}";
        findings: "To be corrected before it can be scheduled", "公開を予約する前に解決が必要";
        findings_to_arm: "What keeps it from being armed", "準備を妨げている問題";
        unwritten: "A stop that could not be saved keeps buyers out, and a restart would lose it. Stop it again, or resume it.",
            "保存できなかった緊急停止により注文を止めています。再起動すると失われます。もう一度停止するか、再開してください。";
        is_ready: "The plan is complete and can be scheduled.", "計画に問題はなく、公開を予約できます。";
        light: "Invariants", "整合性";
        light_green: "All three agree", "3つの数が一致";
        light_red: "They do not agree", "一致していません";
        light_stale: "Not checked lately", "しばらく照合されていません";
        light_stock: "Stock", "在庫";
        light_holds: "Reservations", "引当";
        light_orders: "Orders", "注文";
        queue: "Waiting room", "待合室";
        queue_waiting: "Waiting", "待機中";
        queue_admitted: "Let in, not ordered yet", "入場中（未注文）";
        queue_no_shows: "Did not come", "未利用で失効";
        queue_wait: "Wait", "待ち時間";
        queue_rate: "Let in per second", "毎秒の入場数";
        confirm_title: "{}: {}", "{}：{}";
        allotment_now: "Allotment now", "現在の販売数";
        allotment_new: "New allotment", "新しい販売数";
        allotment_wrong: "The new allotment must be a whole number of at least 1.", "販売数は1以上の整数で入力してください。";
        done: "Done: {}.", "完了：{}。";
        refused_because: "Not done. {}", "実行されませんでした。{}";
        not_in_status: "A sale that is “{}” cannot be told to “{}”.", "状態が「{}」のセールに「{}」は実行できません。";
        back_to_root: "Back to the sales", "セール一覧へ戻る";
        opens_at: "Opens at", "開始日時";
        closes_at: "Closes at", "終了日時";
        items: "Items", "商品";
        row_numbered: "row {}", "{}行目";
        add_row: "Add a row", "行を追加";
        remove_row: "Remove row", "行を削除";
        limit_per_customer: "Pieces for each customer", "お一人様の上限";
        limit_hint: "Empty: no limit.", "空欄：上限なし。";
        hold_card: "Hold for card payments (seconds)", "カード決済の引当時間（秒）";
        hold_konbini: "Hold for konbini payments (seconds)", "コンビニ決済の引当時間（秒）";
        konbini_allowed: "Konbini payment is allowed", "コンビニ決済を許可する";
        konbini_share: "Share that may be held for konbini slips (%)", "コンビニ支払い待ちの上限（%）";
        admission: "Admission", "入場方式";
        admission_rate: "Customers let in per second", "毎秒の入場人数";
        admission_hint: "Empty: adjusted to how fast orders are placed.", "空欄：注文の処理速度に合わせて自動調整。";
        conditions: "Conditions", "販売条件";
        save_draft: "Save the draft", "下書きを保存";
        problems_found: "Please correct these fields:", "次の項目を確認してください。";
        not_a_number: "must be a whole number", "整数で入力してください";
        not_a_share: "must be a number from 0 to 100", "0〜100の数値で入力してください";
        not_a_time: "must be a date and a time", "日付と時刻を入力してください";
        not_a_mode: "must be one of the choices", "選択肢から選んでください";
        not_a_sku: "must have 1 to 64 letters, digits, “-”, “_” or “.”", "英数字と「-」「_」「.」で1〜64文字にしてください";
        not_pieces: "must be a whole number of at least 1", "1以上の整数で入力してください";
        not_a_price: "must be a whole number of yen", "円の整数で入力してください";
        control_characters: "may not have control characters", "制御文字は使えません";
        any_limit: "no limit", "上限なし";
        automatic: "automatic", "自動";
        yes: "allowed", "可";
        no: "not allowed", "不可";
        is_so: "yes", "はい";
        is_not_so: "no", "いいえ";
        report: "Report", "レポート";
        report_early: "Some of its orders may be open until the sale is settled.", "締め処理までは未確定の注文が残っている場合があります。";
        report_final: "Every order has its final status: explained, chained and signed (JSON). Later refunds appear in a later report.",
            "すべての注文が確定しています。全注文の説明付き、連鎖・署名済み（JSON）。以後の返金は、その後に作成した報告書に載ります。";
        vitals: "Engine", "エンジン";
        vitals_hint: "Latency: orders placed in the last ten seconds, from their arrival until they are durable. Commit lag: how long the oldest decision waits to be durable. Event lag: how old the pieces shown are.",
            "応答時間：直近10秒に成立した注文の、到着から確定まで。コミット遅延：確定を待つ最も古い判断の待ち時間。表示遅延：表示中の個数の古さ。";
        latency_p50: "Latency p50", "応答時間 p50";
        latency_p99: "Latency p99", "応答時間 p99";
        latency_p999: "Latency p99.9", "応答時間 p99.9";
        oldest_hold: "Oldest hold", "最も古い引当";
        median_hold: "Median hold", "引当時間の中央値";
        commit_lag: "Commit lag", "コミット遅延";
        event_lag: "Event lag", "表示遅延";
        actor_waiting: "Waiting", "処理待ち";
        actor_ready: "Ready", "準備完了";
        actor_not_ready: "Not ready", "準備中";
        actor_restarts: "Restarts", "再起動";
        milliseconds_unit: "{} ms", "{} ms";
        seconds_unit: "{} s", "{}秒";
        minutes_unit: "{} min", "{}分";
        hours_unit: "{} h", "{}時間";
        days_short: "d", "日";

        dry_run: "Dry run", "リハーサル";
        dry_run_about: "The sale as it is planned, run with synthetic customers in a shop of its own. The real shop is not touched.",
            "計画どおりのセールを、架空のお客様と専用の店舗で実行します。実際の店舗には影響しません。";
        dry_run_customers: "Customers", "お客様の人数";
        dry_run_usual: "two for each piece", "1個につき2人";
        dry_run_seconds: "Seconds for which it is open, at most", "販売時間の上限（秒）";
        dry_run_start: "Start the dry run", "リハーサルを開始";
        dry_run_number_wrong: "customers and seconds are whole numbers", "人数と秒数は整数で入力してください";
        dry_run_preparing: "A shop for {} customers and at most {} seconds is being prepared …",
            "お客様{}人、最大{}秒のための店舗を準備しています…";
        dry_run_sale: "{} customers are ordering, for at most {} seconds …", "お客様{}人が最大{}秒、注文しています…";
        dry_run_machine: "The sale of {} customers and {} seconds is over; the machine's limit is being measured …",
            "お客様{}人・{}秒のセールが終わり、サーバーの上限を計測しています…";
        dry_run_closing: "The sale of {} customers and {} seconds is over; the books are being checked …",
            "お客様{}人・{}秒のセールが終わり、帳簿を検査しています…";
        dry_run_failed: "The dry run was not completed", "リハーサルは完了しませんでした";
        dry_run_untouched: "Nothing of the shop was touched.", "実際の店舗には影響がありませんでした。";
        dry_run_touched: "The shop was touched.", "実際の店舗に影響がありました。";
        dry_run_traces: "{} rows of the shop belong to the run", "{}行がリハーサルのものです";
        dry_run_adds_up: "The books of the run add up.", "リハーサルの帳簿は一致しました。";
        dry_run_contradicts: "The books of the run do not add up.", "リハーサルの帳簿が一致しません。";
        dry_run_sells_out: "Sold out", "完売まで";
        dry_run_after: "after {} s", "{}秒";
        dry_run_about_after: "after about {} s", "約{}秒";
        dry_run_figures: "Result", "結果";
        dry_run_placed: "Orders placed", "注文成立";
        dry_run_paid: "Orders paid", "支払い済みの注文";
        dry_run_best_second: "Orders in the best second", "1秒あたりの最多注文成立数";
        dry_run_refusals_second: "Refusals in the worst second", "1秒あたりの最多受付不可数";
        dry_run_latency: "Time of an order (p50 / p99 / p99.9)", "注文の所要時間（p50 / p99 / p99.9）";
        dry_run_turned_away: "Turned away from the waiting room", "待合室で終了を案内された人";
        dry_run_wait: "Median wait in the waiting room", "待合室での待ち時間の中央値";
        dry_run_failures: "Failed", "失敗";
        dry_run_limit: "Orders per second that this machine can take", "このサーバーが毎秒受けられる注文数";
        dry_run_limit_latency: "Time of an order at that limit (p50 / p99 / p99.9)",
            "上限での注文の所要時間（p50 / p99 / p99.9）";
        dry_run_refused: "Refusals by reason", "受付不可の理由と対象";
        dry_run_times: "{} times, {} customers", "{}回、{}人";
        dry_run_early: "come too early", "開始前に来たお客様";
        dry_run_greedy: "want more than the limit", "上限を超えて求めるお客様";
        dry_run_konbini: "pay at a konbini", "コンビニ払い";
        dry_run_card: "pay by card", "カード払い";
    }
}

impl PageTexts for OpsTexts {
    fn title(&self) -> &'static str {
        self.title
    }

    fn sign_in_lead(&self) -> &'static str {
        self.sign_in_lead
    }

    fn not_admitted(&self) -> &'static str {
        self.not_admitted
    }

    fn back_to_root(&self) -> &'static str {
        self.back_to_root
    }

    fn refusal(&self, code: &str) -> Option<&'static str> {
        self.refusal_text(code)
    }
}

impl OpsTexts {
    /// Milliseconds in as few digits as matter: tenths only below ten.
    pub fn milliseconds(&self, value: f64) -> String {
        let digits = if value < 10.0 { format!("{value:.1}") } else { grouped(value.round() as i64) };
        fill(self.milliseconds_unit, &[&digits])
    }

    /// Seconds, minutes or hours, whichever are short.
    pub fn duration(&self, seconds: i64) -> String {
        let rounded = |unit: i64| (seconds + unit / 2) / unit;
        match seconds {
            ..120 => fill(self.seconds_unit, &[&grouped(seconds)]),
            120..7_200 => fill(self.minutes_unit, &[&grouped(rounded(60))]),
            _ => fill(self.hours_unit, &[&grouped(rounded(3_600))]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::pages::kit::{Catalogue as _, Language, assert_translated};

    #[test]
    fn every_text_exists_in_both_languages() {
        assert_translated(OpsTexts::ALL, &["sku", "no_forecast", "milliseconds_unit"]);
    }

    #[test]
    fn figures_are_short() {
        let (english, japanese) = (OpsTexts::of(Language::English), OpsTexts::of(Language::Japanese));
        assert_eq!(
            [0.0, 9.94, 10.4, 1_234.5].map(|it| english.milliseconds(it)),
            ["0.0 ms", "9.9 ms", "10 ms", "1,235 ms"]
        );
        assert_eq!(
            [119, 120, 7_199, 7_200].map(|it| english.duration(it)),
            ["119 s", "2 min", "120 min", "2 h"]
        );
        assert_eq!(japanese.duration(90), "90秒");
    }
}
