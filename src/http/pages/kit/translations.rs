//! Every text of the operators' page, in English and in Japanese side by side.

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT_LANGUAGE;

use super::session::cookie;
use crate::types::grouped;

/// Where the choice of a language is kept.
pub const LANGUAGE_COOKIE: &str = "shobai-ops-language";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    Japanese,
}

impl Language {
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Japanese => "ja",
        }
    }

    pub fn from_code(code: &str) -> Option<Self> {
        [Self::English, Self::Japanese].into_iter().find(|language| language.code() == code)
    }

    /// What was chosen; else what the browser prefers.
    pub fn of(request: &HttpRequest) -> Self {
        cookie(request, LANGUAGE_COOKIE).and_then(Self::from_code).unwrap_or_else(|| {
            let accepted = request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
            Self::preferred(accepted.unwrap_or_default())
        })
    }

    /// The one of ours with the highest weight in an `Accept-Language` (RFC 9110, 12.5.4), the first among equals.
    fn preferred(accepted: &str) -> Self {
        let mut best = (0.0, Self::English);
        for range in accepted.split(',') {
            let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
            let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            let weight: f64 =
                weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok()).unwrap_or(0.0);
            if let Some(language) = Self::from_code(&primary)
                && weight > best.0
            {
                best = (weight, language);
            }
        }
        best.1
    }

    pub const fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Japanese => &JAPANESE,
        }
    }
}

/// Puts values in the places of a text that are marked `{}`.
pub fn fill(text: &str, values: &[&str]) -> String {
    let mut parts = text.split("{}");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for (index, part) in parts.enumerate() {
        filled.push_str(values.get(index).copied().unwrap_or_default());
        filled.push_str(part);
    }
    filled
}

macro_rules! words {
    ($($name:ident: $english:literal, $japanese:literal;)*) => {
        /// The texts of one language, each under its name.
        pub struct Words {
            pub language: Language,
            $(pub $name: &'static str,)*
        }

        static ENGLISH: Words = Words { language: Language::English, $($name: $english,)* };
        static JAPANESE: Words = Words { language: Language::Japanese, $($name: $japanese,)* };

        #[cfg(test)]
        const NAMED: &[(&str, &str, &str)] = &[$((stringify!($name), $english, $japanese),)*];
    };
}

macro_rules! coded {
    ($($code:literal: $english:literal, $japanese:literal;)*) => {
        impl Words {
            /// The text of something that the domains name by a code, with what it is: `status draft`, `gate sold-out`.
            fn coded(&self, code: &str) -> Option<&'static str> {
                let (english, japanese) = match code {
                    $($code => ($english, $japanese),)*
                    _ => return None,
                };
                Some(if self.language == Language::English { english } else { japanese })
            }
        }

        #[cfg(test)]
        const CODED: &[(&str, &str, &str)] = &[$(($code, $english, $japanese),)*];
    };
}

impl Words {
    pub fn status(&self, status: &'static str) -> &'static str {
        self.coded(&format!("status {status}")).unwrap_or(status)
    }

    pub fn action(&self, action: &str) -> String {
        self.coded(&format!("action {action}")).unwrap_or(action).to_owned()
    }

    /// As short as a figure is: tenths only where they matter.
    pub fn milliseconds(&self, value: f64) -> String {
        let digits = if value < 10.0 { format!("{value:.1}") } else { grouped(value.round() as i64) };
        fill(self.milliseconds_unit, &[&digits])
    }

    pub fn duration(&self, seconds: i64) -> String {
        let rounded = |unit: i64| (seconds + unit / 2) / unit;
        match seconds {
            ..120 => fill(self.seconds_unit, &[&grouped(seconds)]),
            120..7_200 => fill(self.minutes_unit, &[&grouped(rounded(60))]),
            _ => fill(self.hours_unit, &[&grouped(rounded(3_600))]),
        }
    }

    /// What an action brings about, for those who are about to confirm it.
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
    pub fn refusal(&self, code: &str) -> Option<&'static str> {
        self.coded(&format!("refusal {code}"))
    }

    /// What a place in a plan is called, for example `items[2].allotment`.
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

    /// What is wrong with a place in a plan. The domain says it in English; in Japanese, the rule is told.
    pub fn finding(&self, field: &str, problem: &str) -> String {
        let part = field.rsplit("].").next().unwrap_or(field);
        match (self.language, self.coded(&format!("finding {part}"))) {
            (Language::Japanese, Some(rule)) => rule.to_owned(),
            _ => problem.to_owned(),
        }
    }
}

words! {
    shop: "Shobai operations", "商売 オペレーション";
    sales: "Sales", "セール一覧";
    new_sale: "New sale", "新しいセール";
    edit_sale: "Edit the plan", "計画を編集";
    skip: "Skip to the content", "本文へ移動";
    other_language: "日本語", "English";
    japan_time: "Japan time", "日本時間";
    sign_in: "Sign in", "ログイン";
    sign_in_why: "Flash sales are planned, watched and stopped here. Only staff may enter.",
        "セールの計画・監視・停止を行う画面です。スタッフのみ利用できます。";
    sign_out: "Sign out", "ログアウト";
    email: "Email address", "メールアドレス";
    password: "Password", "パスワード";
    bad_credentials: "The email address or the password is wrong.", "メールアドレスまたはパスワードが違います。";
    not_staff: "This account is not staff. Ask an admin for access.",
        "このアカウントはスタッフではありません。管理者に権限を依頼してください。";
    session_ended: "The session has ended. Please sign in again.", "セッションが終了しました。もう一度ログインしてください。";
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
    everything_stopped: "All orders of customers are stopped.", "お客様の注文をすべて停止しています。";
    everything_unknown: "The switch for everything", "全体スイッチ";
    stop_everything: "Stop everything", "すべて停止";
    resume_everything: "Take orders again", "受付を再開";
    is_stopped: "Stopped by its switch", "スイッチで停止中";
    opens_in: "Opens in", "開始まで";
    closes_in: "Closes in", "終了まで";
    has_closed: "Has ended", "終了済み";
    to: "to", "〜";
    sku: "SKU", "SKU";
    price: "Price (¥, tax included)", "価格（円・税込）";
    allotment: "Allotment", "割当数";
    remaining: "Remaining", "残り";
    held: "Held, unpaid", "確保中（未払い）";
    sold: "Paid", "支払い済み";
    expired: "Expired", "期限切れ";
    lapsed: "Came back in all", "戻り合計";
    forecast: "Sells out in", "完売見込み";
    sold_out: "Sold out", "完売";
    no_forecast: "–", "–";
    change_allotment: "Change", "変更";
    change_allotment_of: "Change the allotment of {}", "{} の割当数を変更";
    stop_sku: "Stop", "停止";
    resume_sku: "Resume", "再開";
    stop_sku_of: "Stop {}", "{} を停止";
    resume_sku_of: "Resume {}", "{} を再開";
    not_armed_yet: "The figures begin when the sale is armed.", "準備が完了すると数字が表示されます。";
    attempts: "Attempts", "試行";
    accepted: "Accepted", "受付";
    refused: "Refused", "拒否";
    attempts_chart: "Attempts and accepted per second", "毎秒の試行と受付";
    refusals_chart: "Refusals per second, by gate", "毎秒の拒否（理由別）";
    totals: "Since the gates began to count", "計測開始からの合計";
    live: "Live", "ライブ";
    connecting: "Connecting …", "接続中…";
    overtaken: "Somebody else changed the plan after you had opened it, so nothing was saved. Saving again puts what you typed in its place.", "開いた後に別の人が計画を変更したため、保存していません。もう一度保存すると、入力した内容で置き換えます。";
    no_answer: "The engine did not answer, so nobody knows whether anything was done. Look at it and try again.", "エンジンから応答がなく、実行されたか分かりません。状態を確認してやり直してください。";
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
    proposed: "Not done yet: it waits until another operator does the same.", "まだ実行していません。別の担当者が同じ操作をすると実行されます。";
    lapses_at: "Lapses at", "有効期限";
    confirm: "Confirm", "承認";
    withdraw: "Withdraw", "取り下げ";
    lower_of: "{}: allotment {} → {}", "{}：割当数 {} → {}";
    findings: "Before it can be scheduled", "予約の前に解決が必要";
    findings_to_arm: "What keeps it from being armed", "準備を妨げている問題";
    unwritten: "Buyers are kept out by something that could not be written down, and that a restart would forget. Do it again, or resume.",
        "保存できなかった操作により注文を停止しています。再起動すると失われます。もう一度実行するか、再開してください。";
    is_ready: "The plan is complete and can be scheduled.", "計画に問題はなく、予約できます。";
    light: "Invariants", "整合性";
    light_green: "All three agree", "3つの数が一致";
    light_red: "They do not agree", "一致していません";
    light_stale: "Nobody has looked lately", "しばらく照合されていません";
    light_stock: "Stock", "在庫";
    light_holds: "Reservations", "予約";
    light_orders: "Orders", "注文";
    queue: "Waiting room", "待機室";
    queue_waiting: "Waiting", "待機中";
    queue_admitted: "Let in, not ordered yet", "入場中（未注文）";
    queue_no_shows: "Did not come", "未利用で失効";
    queue_wait: "Wait", "待ち時間";
    queue_rate: "Let in per second", "毎秒の入場数";
    confirm_title: "{}: {}", "{}：{}";
    reason: "Reason (kept in the history)", "理由（履歴に残ります）";
    reason_needed: "A reason of 1 to 200 characters is needed.", "理由を1〜200文字で入力してください。";
    cancel_confirm: "Back", "戻る";
    allotment_now: "Allotment now", "現在の割当数";
    allotment_new: "New allotment", "新しい割当数";
    allotment_wrong: "The new allotment must be a whole number of at least 1.", "割当数は1以上の整数で入力してください。";
    done: "Done: {}.", "完了：{}。";
    refused_because: "Not done. {}", "実行されませんでした。{}";
    not_in_status: "A sale that is “{}” cannot be told to “{}”.", "状態が「{}」のセールに「{}」は実行できません。";
    failed_title: "That did not work", "処理できませんでした";
    failed: "It is not known whether it was done. Look at the state below, then try again.",
        "実行されたかどうか確認できません。状態を確認してからやり直してください。";
    request_id: "Request id", "リクエストID";
    back_to_sales: "Back to the sales", "セール一覧へ戻る";
    opens_at: "Opens at", "開始日時";
    closes_at: "Closes at", "終了日時";
    items: "Items", "商品";
    row_numbered: "row {}", "{}行目";
    add_row: "Add a row", "行を追加";
    remove_row: "Remove row", "行を削除";
    limit_per_customer: "Pieces for each customer", "お一人様の上限";
    limit_hint: "Empty: no limit.", "空欄：上限なし。";
    hold_card: "Hold for card payments (seconds)", "カード決済の確保時間（秒）";
    hold_konbini: "Hold for konbini payments (seconds)", "コンビニ決済の確保時間（秒）";
    konbini_allowed: "Konbini payment is allowed", "コンビニ決済を許可する";
    konbini_share: "Share that may be held for konbini slips (%)", "コンビニ支払い待ちの上限（%）";
    admission: "Admission", "入場方式";
    admission_rate: "Customers let in per second", "毎秒の入場人数";
    admission_hint: "Empty: steered by how fast orders are placed.", "空欄：注文の処理速度に合わせて自動調整。";
    conditions: "Conditions", "販売条件";
    save_draft: "Save the draft", "下書きを保存";
    problems_found: "Please look at these places:", "次の項目を確認してください。";
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
    report_early: "Some of its orders may be open until the sale is settled.", "精算までは未確定の注文が残っている場合があります。";
    report_final: "No order is open any more: every one explained, chained and signed (JSON). Later refunds stand in a later report.", "未確定の注文はありません。全注文の説明付き、連鎖・署名済み（JSON）。以後の返金は、その後に作成した報告書に載ります。";
    vitals: "Engine", "エンジン";
    vitals_hint: "Latency: orders placed in the last ten seconds, from their arrival until they are durable. Commit lag: how long the oldest decision waits to be durable. Event lag: how old the pieces shown are.",
        "応答時間：直近10秒に成立した注文の、到着から確定まで。コミット遅延：確定を待つ最も古い判断の待ち時間。表示遅延：表示中の個数の古さ。";
    latency_p50: "Latency p50", "応答時間 p50";
    latency_p99: "Latency p99", "応答時間 p99";
    latency_p999: "Latency p99.9", "応答時間 p99.9";
    oldest_hold: "Oldest hold", "最も古い確保";
    median_hold: "Median hold", "確保時間の中央値";
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
    dry_run_about: "The sale as it is planned, run with synthetic customers in a shop of its own: nothing of the real one is touched.", "計画どおりのセールを、架空の顧客で専用の店舗において実行します。実際の在庫や注文には一切影響しません。";
    dry_run_customers: "Customers", "顧客数";
    dry_run_usual: "two for each piece", "1個につき2人";
    dry_run_seconds: "Seconds for which it is open, at most", "販売時間の上限（秒）";
    dry_run_start: "Start the dry run", "リハーサルを開始";
    dry_run_number_wrong: "customers and seconds are whole numbers", "顧客数と秒数は整数で入力してください";
    dry_run_preparing: "Opening a shop for {} customers and at most {} seconds …", "顧客{}人、最大{}秒のための店舗を準備しています…";
    dry_run_sale: "{} customers are at it, for at most {} seconds …", "顧客{}人が最大{}秒、購入しています…";
    dry_run_machine: "{} customers and {} seconds are over; the machine's limit is measured …", "顧客{}人・最大{}秒のセールが終わり、機械の上限を計測しています…";
    dry_run_closing: "{} customers and {} seconds are over; the books are checked …", "顧客{}人・最大{}秒のセールが終わり、帳簿を検査しています…";
    dry_run_failed: "The dry run came to nothing", "リハーサルは完了しませんでした";
    dry_run_untouched: "Nothing of the shop was touched.", "実際の店舗には影響がありませんでした。";
    dry_run_touched: "The shop was touched.", "実際の店舗に影響がありました。";
    dry_run_traces: "{} of its rows are of the run", "{}行がリハーサルのものです";
    dry_run_adds_up: "The books of the run add up.", "リハーサルの帳簿は一致しました。";
    dry_run_contradicts: "The books of the run do not add up.", "リハーサルの帳簿が一致しません。";
    dry_run_sells_out: "Sold out", "完売まで";
    dry_run_after: "after {} s", "{}秒";
    dry_run_about_after: "after about {} s", "約{}秒";
    dry_run_figures: "How it went", "結果";
    dry_run_placed: "Orders placed", "成立した注文";
    dry_run_paid: "Orders paid", "支払い済みの注文";
    dry_run_best_second: "Orders in the best second", "1秒あたりの最多注文数";
    dry_run_refusals_second: "Refusals in the worst second", "1秒あたりの最多拒否数";
    dry_run_latency: "An order took (p50 / p99 / p99.9)", "注文の所要時間（p50 / p99 / p99.9）";
    dry_run_turned_away: "Turned away from the queue", "待機列で終了を告げられた人";
    dry_run_wait: "Median wait in the queue", "待ち時間の中央値";
    dry_run_failures: "Failed", "失敗";
    dry_run_limit: "Orders a second that this machine takes", "この機械が受けられる毎秒の注文数";
    dry_run_limit_latency: "An order at that limit (p50 / p99 / p99.9)", "上限での注文の所要時間（p50 / p99 / p99.9）";
    dry_run_refused: "Who was refused why", "拒否の理由と相手";
    dry_run_times: "{} times, {} customers", "{}回、{}人";
    dry_run_early: "too early", "早く来た人";
    dry_run_greedy: "wants more than the limit", "上限を超えて求める人";
    dry_run_konbini: "pays at a konbini", "コンビニ払い";
    dry_run_card: "pays by card", "カード払い";
}

coded! {
    "status draft": "Draft", "下書き";
    "status scheduled": "Scheduled", "予約済み";
    "status armed": "Armed", "準備完了";
    "status open": "Open", "販売中";
    "status paused": "Paused", "一時停止";
    "status draining": "Draining", "受付終了・支払い待ち";
    "status closed": "Closed", "終了";
    "status settled": "Settled", "精算済み";
    "status cancelled": "Cancelled", "中止";

    "action schedule": "Schedule", "予約する";
    "action arm": "Arm", "準備する";
    "action open": "Open", "開始";
    "action pause": "Pause", "一時停止";
    "action resume": "Resume", "再開";
    "action drain": "Drain", "受付を終える";
    "action close": "Close", "終了する";
    "action cancel": "Cancel the sale", "中止する";
    "action settle": "Settle", "精算する";
    "action kill": "Kill", "緊急停止";
    "action kill-everything": "Everything killed", "全体の緊急停止";
    "action resume-everything": "Everything resumed", "全体の再開";
    "action propose-everything": "Proposed for everything", "全体への提案";
    "action withdraw-everything": "Withdrawn for everything", "全体への提案の取り下げ";
    "action lapse-everything": "Lapsed for everything", "全体への提案の期限切れ";
    "action allot": "Change the allotment", "割当数を変更";
    "action change_item": "Allotment changed", "割当数の変更";
    "action lower": "Lower the allotment", "割当数を減らす";
    "action propose": "Proposed", "提案";
    "action withdraw": "Withdrawn", "取り下げ";
    "action lapse": "Lapsed", "期限切れ";
    "action create": "Planned", "計画";
    "action replan": "Planned anew", "計画の変更";

    "effect schedule": "It will be armed by itself shortly before it opens, and opens at its time. The plan can no longer be edited.",
        "開始直前に自動で準備され、開始時刻に販売が始まります。計画は編集できなくなります。";
    "effect arm": "The pieces of every SKU are set apart from general stock now.", "すべてのSKUの個数を通常在庫から取り分けます。";
    "effect pause": "No new orders until it is resumed. Those who hold pieces can still pay.",
        "再開するまで新しい注文を受け付けません。確保済みの方は支払いできます。";
    "effect resume": "Orders are taken again at once, but for what is stopped by another switch.",
        "ただちに注文の受付を再開します。別の停止スイッチが働いているものは停止したままです。";
    "effect resume-paused": "The pause ends. The sale stays stopped by its switch until it is resumed once more.",
        "一時停止を解除します。停止スイッチは働いたままで、もう一度再開するまで受け付けません。";
    "effect resume-stopped": "The switch lets go of the sale. It stays paused until it is resumed once more.",
        "停止スイッチを解除します。一時停止は続き、もう一度再開するまで受け付けません。";
    "effect drain": "Nobody can order any more, and this cannot be taken back. Those who hold pieces can still pay.",
        "以後の注文はできなくなり、取り消せません。確保済みの方は支払いできます。";
    "effect close": "The sale ends now, and this cannot be taken back. What is left goes back to general stock.",
        "セールをただちに終了し、取り消せません。残りは通常在庫へ戻ります。";
    "effect cancel": "The sale is called off, and this cannot be taken back. What is left goes back to general stock.",
        "セールを中止し、取り消せません。残りは通常在庫へ戻ります。";
    "effect settle": "The sale is put on file. Nothing can be done to it afterwards.", "セールを精算済みにします。以後の操作はできません。";
    "effect kill": "Customers cannot order anything of this sale from now on, until it is resumed. Staff can still order.",
        "再開するまで、このセールへのお客様の注文をただちに停止します。スタッフは注文できます。";
    "effect kill-item": "Customers cannot order this SKU from now on, until it is resumed. Staff can still order.",
        "再開するまで、このSKUへのお客様の注文をただちに停止します。スタッフは注文できます。";
    "effect kill-everything": "All orders of customers are stopped at once, also outside of sales, until it is resumed. Staff can still order.",
        "再開するまで、セール以外も含めてお客様の注文をただちにすべて停止します。スタッフは注文できます。";
    "effect withdraw": "It waits no longer. Whoever still wants it has to propose it anew.",
        "承認待ちから外します。必要な場合はあらためて提案してください。";
    "effect allot": "Pieces move between the sale and general stock at once. Pieces that are held or sold stay.",
        "セールと通常在庫の間でただちに個数を移します。確保中・販売済みの個数は変わりません。";

    "gate sale-not-open": "Not open", "販売時間外";
    "gate sale-paused": "Paused", "一時停止中";
    "gate stopped": "Stopped", "停止中";
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
    "admission queue": "Queue", "先着順（待機列）";
    "admission lottery": "Lottery", "抽選";

    "refusal sale-is-on": "a sale is on or about to be, and the machine belongs to its buyers", "販売中または開始直前のセールがあり、機械はその顧客のために使われます";
    "refusal dry-run-under-way": "another dry run is under way", "別のリハーサルが実行中です";
    "refusal no-dry-run-database": "the database does not let the shop make one for the dry run", "リハーサル用のデータベースを作成する権限がありません";
    "refusal unknown-sale": "There is no such sale.", "そのセールはありません。";
    "refusal unknown-item": "The sale has no such SKU.", "このセールにそのSKUはありません。";
    "refusal unknown-sku": "There is no such SKU.", "そのSKUはありません。";
    "refusal not-a-draft": "Only drafts can be edited.", "編集できるのは下書きだけです。";
    "refusal sale-not-valid": "The plan cannot be run as it is.", "計画に問題があります。";
    "refusal sale-not-ready": "Not all of its SKUs are ready.", "準備できていないSKUがあります。";
    "refusal orders-open": "Some of its orders are not paid yet.", "未払いの注文が残っています。";
    "refusal unknown-proposal": "It waits no longer: it was carried out, withdrawn, or has lapsed.", "すでに実行・取り下げ済みか、期限切れです。";
    "refusal too-many-proposals": "Too much waits for a second operator already.", "承認待ちが多すぎます。";
    "refusal not-in-status": "The status of the sale does not allow it.", "セールの状態により、この操作はできません。";
    "refusal paused-and-stopped": "The sale is paused and stopped. Say which of the two ends.",
        "一時停止と停止スイッチの両方が働いています。どちらを解除するか指定してください。";
    "refusal overtaken": "Somebody else changed the sale at the same time.", "同時に別の人が変更しました。";
    "refusal below-promised": "More pieces than that are held or sold already.", "すでに確保・販売された数を下回ります。";
    "refusal allotment-differs": "The allotment has changed meanwhile. Look at it and try again.",
        "割当数がその間に変わりました。確認してやり直してください。";
    "refusal too-few-to-allot": "General stock has not as many pieces.", "通常在庫が足りません。";
    "refusal not-allotted": "Nothing of this SKU is set apart for the sale.", "このSKUはセールに割り当てられていません。";
    "refusal foreign-request": "This request did not come from this page, so nothing was changed. Load the page again and repeat it.",
        "この画面からの操作ではないため、何も変更していません。再読み込みしてやり直してください。";
    "refusal staff-only": "Only staff may enter.", "スタッフのみ利用できます。";
    "refusal not-found": "There is nothing at this address.", "このアドレスには何もありません。";
    "refusal method-not-allowed": "This cannot be asked here.", "この操作はここではできません。";
    "refusal body-too-large": "The form is too large.", "フォームが大きすぎます。";
    "refusal invalid-form": "The form cannot be understood, so nothing was changed.", "フォームを読み取れないため、何も変更していません。";
    "refusal too-many-streams": "Too many people are watching. Try again later.", "閲覧者が多すぎます。後でもう一度お試しください。";
    "refusal busy": "There is too much to do at this moment. Try again soon.", "混み合っています。少し待ってやり直してください。";
    "refusal too-many-requests": "Too many requests from this address. Try again soon.", "リクエストが多すぎます。少し待ってやり直してください。";

    "field name": "Name", "名前";
    "field opens_at": "Opens at", "開始日時";
    "field closes_at": "Closes at", "終了日時";
    "field items": "Items", "商品";
    "field sku": "SKU", "SKU";
    "field price": "Price", "価格";
    "field allotment": "Allotment", "割当数";
    "field limit_per_customer": "Pieces for each customer", "お一人様の上限";
    "field hold_seconds.card": "Hold for card payments", "カード決済の確保時間";
    "field hold_seconds.konbini": "Hold for konbini payments", "コンビニ決済の確保時間";
    "field konbini.allowed": "Konbini payments", "コンビニ払い";
    "field konbini.share_max": "Share for konbini slips", "コンビニ支払い待ちの上限";
    "field admission.mode": "Admission", "入場方式";
    "field admission.per_second": "Customers let in per second", "毎秒の入場人数";
    "field status": "Status", "状態";
    "field stopped": "Stopped", "停止";
    "field proposed": "Proposed", "提案";

    "finding name": "1〜100 characters", "1〜100文字で入力してください";
    "finding opens_at": "a time", "日時を確認してください";
    "finding closes_at": "after the opening, in the future", "開始より後の、未来の日時にしてください";
    "finding items": "1 to 1,000 rows", "商品を1〜1,000行で入力してください";
    "finding sku": "a SKU of the catalogue, once, in no other sale then", "カタログにあり、重複せず、同時期の他のセールにないSKUにしてください";
    "finding allotment": "as many pieces as are available", "在庫を超えない個数にしてください";
    "finding limit_per_customer": "at least 1", "1以上にしてください";
    "finding hold_seconds.card": "at least 1 second, at most what stock may be held", "1秒以上、確保できる最長時間以下にしてください";
    "finding hold_seconds.konbini": "at least 1 second, at most what stock may be held", "1秒以上、確保できる最長時間以下にしてください";
    "finding konbini.share_max": "0 to 100 %", "0〜100%にしてください";
    "finding admission.per_second": "at least 1", "1以上にしてください";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::sales::{Action, AdmissionMode, GATES, SaleStatus};

    #[test]
    fn no_word_is_missing_in_either_language() {
        for (name, english, japanese) in NAMED.iter().chain(CODED) {
            assert!(!english.trim().is_empty() && !japanese.trim().is_empty(), "{name}");
            let places = |text: &str| text.matches("{}").count();
            assert_eq!(places(english), places(japanese), "{name}");
            // What is the same in both is a name or a sign.
            if english == japanese {
                assert!(
                    ["sku", "no_forecast", "field sku", "skus", "milliseconds_unit"].contains(name),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn whatever_the_domain_names_has_a_word() {
        for words in [&ENGLISH, &JAPANESE] {
            let codes = SaleStatus::ALL
                .map(|status| format!("status {}", status.as_str()))
                .into_iter()
                .chain(Action::ALL.map(|action| format!("action {}", action.as_str())))
                .chain(GATES.map(|gate| format!("gate {gate}")))
                .chain(
                    [AdmissionMode::None, AdmissionMode::Queue, AdmissionMode::Lottery]
                        .map(|mode| format!("admission {}", mode.as_str())),
                );
            for code in codes {
                assert!(words.coded(&code).is_some(), "{code}");
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
                assert!(words.coded(&format!("field {field}")).is_some(), "{field}");
            }
            // Opening is the schedule's alone.
            for action in Action::ALL.into_iter().filter(|action| *action != Action::Open) {
                assert!(!words.effect(action.as_str()).is_empty(), "{action:?}");
            }
        }
    }

    #[test]
    fn a_place_in_a_plan_has_a_name() {
        assert_eq!(ENGLISH.field("items[1].allotment"), "row 2, Allotment");
        assert_eq!(JAPANESE.field("items[0]"), "1行目");
        assert_eq!(ENGLISH.field("hold_seconds.card"), "Hold for card payments");
        assert_eq!(ENGLISH.finding("items[0].sku", "LAMP is named before"), "LAMP is named before");
        assert!(JAPANESE.finding("items[0].sku", "LAMP is named before").contains("重複"));
    }

    #[test]
    fn the_language_is_what_the_browser_prefers() {
        assert_eq!(Language::preferred("ja"), Language::Japanese);
        assert_eq!(Language::preferred("fr, ja-JP;q=0.8, en;q=0.5"), Language::Japanese);
        assert_eq!(Language::preferred("en-GB,en;q=0.9,ja;q=0.8"), Language::English);
        for other in ["", "*", "fr", "ja;q=0", "ja;q=x"] {
            assert_eq!(Language::preferred(other), Language::English, "{other}");
        }
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(
            [0.0, 9.94, 10.4, 1_234.5].map(|it| ENGLISH.milliseconds(it)),
            ["0.0 ms", "9.9 ms", "10 ms", "1,235 ms"]
        );
        assert_eq!(
            [119, 120, 7_199, 7_200].map(|it| ENGLISH.duration(it)),
            ["119 s", "2 min", "120 min", "2 h"]
        );
        assert_eq!(JAPANESE.duration(90), "90秒");
    }

    #[test]
    fn a_text_is_filled_in_its_places() {
        assert_eq!(fill("{}: {}", &["a", "b"]), "a: b");
        assert_eq!(fill("{}: {}.", &["{}"]), "{}: .");
    }
}
