//! What is shown of addresses, projects and keys.

use gemini_openai_proxy::mask;

#[test]
fn emails_are_masked_as_the_contract_says() {
    for (input, expected) in [
        ("a@b.com", "a***********@b.com"),
        ("alice@gmail.com", "a*i*e*******@gmail.com"),
        ("user1@gmail.com", "u*e*1*******@gmail.com"),
        ("someone.long@example.com", "s*m*o*e*l*n*@example.com"),
        ("averyveryverylongname@corp.example", "a*e*y*e*y*e*@corp.example"),
        ("x+tag@a@b", "x*t*g*******@a@b"),
        ("李雷@qq.com", "李***********@qq.com"),
        ("noatsign", "noatsign"),
        ("", ""),
    ] {
        assert_eq!(mask::email(Some(input)), expected);
    }
    assert_eq!(mask::email(None), "None");
}

#[test]
fn projects_are_masked_as_the_contract_says() {
    for (input, expected) in [
        ("my-project-12345", "***-2345"),
        ("proj-abc1234", "***-1234"),
        ("abcd", "***"),
        ("abcde", "***-bcde"),
        ("", ""),
    ] {
        assert_eq!(mask::project(Some(input)), expected);
    }
    assert_eq!(mask::project(None), "None");
}

#[test]
fn short_keys_show_nothing() {
    assert_eq!(mask::key("123456"), "***");
    assert_eq!(mask::key("sk-abcdefgh1234"), "sk-***1234");
}
