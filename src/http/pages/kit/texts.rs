//! The texts that every page set shares: the layout, the sign-in, the dialog, and why a request was refused.

use super::translations::{coded_translations, translations};

translations! {
    /// The kit's own texts in one language.
    pub struct KitTexts {
        skip: "Skip to the content", "本文へ移動";
        other_language: "日本語", "English";
        japan_time: "Japan time", "日本時間";
        sign_in: "Sign in", "ログイン";
        sign_out: "Sign out", "ログアウト";
        email: "Email address", "メールアドレス";
        password: "Password", "パスワード";
        bad_credentials: "The email address or the password is wrong.", "メールアドレスまたはパスワードが違います。";
        session_ended: "The session has ended. Please sign in again.", "セッションが終了しました。もう一度ログインしてください。";
        no_answer: "The engine did not answer, so it is not known whether anything was done. Check the state and try again.",
            "エンジンから応答がなく、実行されたか分かりません。状態を確認してやり直してください。";
        reason: "Reason (kept in the history)", "理由（履歴に残ります）";
        reason_needed: "A reason of 1 to 200 characters is needed.", "理由を1〜200文字で入力してください。";
        back: "Back", "戻る";
        failed_title: "That did not work", "処理できませんでした";
        failed: "It is not known whether it was done. Look at the state below, then try again.",
            "実行されたかどうか確認できません。状態を確認してからやり直してください。";
        request_id: "Request id", "リクエストID";
    }
}

coded_translations! {
    KitTexts {
        "foreign-request": "This request did not come from this page, so nothing was changed. Load the page again and repeat it.",
            "この画面からの操作ではないため、何も変更していません。再読み込みしてやり直してください。";
        "not-found": "There is nothing at this address.", "このアドレスには何もありません。";
        "method-not-allowed": "This cannot be asked here.", "この操作はここではできません。";
        "body-too-large": "The form is too large.", "フォームが大きすぎます。";
        "invalid-form": "The form cannot be understood, so nothing was changed.", "フォームを読み取れないため、何も変更していません。";
        "too-many-streams": "Too many people are watching. Try again later.", "閲覧者が多すぎます。後でもう一度お試しください。";
        "busy": "There is too much to do at this moment. Try again soon.", "混み合っています。少し待ってやり直してください。";
        "too-many-requests": "Too many requests from this address. Try again soon.", "リクエストが多すぎます。少し待ってやり直してください。";
    }
}

impl KitTexts {
    /// Why a request was refused, by the problem's code.
    pub fn refusal(&self, code: &str) -> Option<&'static str> {
        self.coded(code)
    }
}

#[cfg(test)]
mod tests {
    use super::super::translations::assert_translated;
    use super::*;

    #[test]
    fn every_text_exists_in_both_languages() {
        assert_translated(KitTexts::ALL, &[]);
        assert_translated(KitTexts::CODED, &[]);
    }
}
