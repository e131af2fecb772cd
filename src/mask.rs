//! How an e-mail address, a project id and a key look in logs, reports and the admin page (docs/compatibility.md
//! "Masks").

/// Masks an e-mail as the old program did: every second character of the local part is `*`, padded or cut to twelve;
/// the domain stays. No address at all is the text `None`; a text without `@` is shown as it is.
pub fn email(email: Option<&str>) -> String {
    let Some(email) = email else { return "None".into() };
    let Some((local, domain)) = email.split_once('@') else { return email.into() };
    let starred = local.chars().enumerate().map(|(at, c)| if at % 2 == 1 { '*' } else { c });
    let local: String = starred.chain(std::iter::repeat('*')).take(12).collect();
    format!("{local}@{domain}")
}

/// Masks a project id: `***-` and the last four characters; `***` when there are four or fewer; `None` for no project.
pub fn project(project: Option<&str>) -> String {
    let Some(project) = project else { return "None".into() };
    let count = project.chars().count();
    match count {
        0 => String::new(),
        1..=4 => "***".into(),
        _ => format!("***-{}", project.chars().skip(count - 4).collect::<String>()),
    }
}

/// Masks an API key: the first three and last four characters, or `***` when that would show most of it.
pub fn key(key: &str) -> String {
    match (key.char_indices().nth(3), key.char_indices().nth_back(3)) {
        (Some((head, _)), Some((tail, _))) if key.chars().count() >= 12 => [&key[..head], "***", &key[tail..]].concat(),
        _ => "***".into(),
    }
}
