//! The private key of a service account, as people paste it, and signatures with it (RS256). Knows no file and no network.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::Value;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the key; the sentence says which part is wrong.
pub(super) fn read(text: &str) -> Result<RsaKeyPair, &'static str> {
    let text = clean(text);
    let Some((_, rest)) = text.split_once("-----BEGIN ") else {
        return Err("pem_no_begin");
    };
    let Some((name, rest)) = rest.split_once("-----") else {
        return Err("pem_begin_cut");
    };
    let Some((body, _)) = rest.split_once("-----END ") else {
        return Err("pem_no_end");
    };
    let read = match name {
        "PRIVATE KEY" => RsaKeyPair::from_pkcs8,
        "RSA PRIVATE KEY" => RsaKeyPair::from_der,
        "ENCRYPTED PRIVATE KEY" => {
            return Err("pem_encrypted");
        }
        "PUBLIC KEY" | "CERTIFICATE" => return Err("pem_public"),
        _ => return Err("pem_no_rsa"),
    };
    let body: String = body.split_whitespace().collect();
    let bytes = BASE64.decode(body).map_err(|_| "pem_no_base64")?;
    read(&bytes).map_err(|rejected| match rejected.to_string().as_str() {
        "TooSmall" | "TooLarge" => "pem_size",
        "WrongAlgorithm" => "pem_no_rsa",
        _ => "pem_damaged",
    })
}

/// Line breaks may have been escaped once or twice, and a terminal may have coloured the text.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '\u{1b}']) {
        out.push_str(&rest[..at]);
        let is_colour = rest[at..].starts_with('\u{1b}');
        rest = match is_colour {
            true => rest[at + 1..].trim_start_matches(|c: char| c == '[' || c == ';' || c.is_ascii_digit()),
            false => rest[at..].trim_start_matches('\\'),
        };
        if is_colour || rest.starts_with(['n', 'r', 't']) {
            rest = rest.get(1..).unwrap_or_default();
            out.push('\n');
        }
    }
    out + rest
}

/// A JSON web token: header and claims, signed.
pub(super) fn token(key: &RsaKeyPair, header: &Value, claims: &Value) -> Option<String> {
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let text = format!("{}.{}", encoded(header), encoded(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).ok()?;
    Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::json;

    const PKCS8: &str = include_str!("../../../../tests/fixtures/vertex/key.pem");
    const PKCS1: &str = include_str!("../../../../tests/fixtures/vertex/key_pkcs1.pem");
    const SMALL: &str = include_str!("../../../../tests/fixtures/vertex/key_1024.pem");

    #[test]
    fn a_key_is_read_however_it_was_pasted() {
        let escaped = PKCS8.trim().replace('\n', "\\n");
        for (how, text) in [
            ("as it is", PKCS8.to_owned()),
            ("as the older form", PKCS1.to_owned()),
            ("with CRLF", PKCS8.replace('\n', "\r\n")),
            ("with escaped line breaks", escaped.clone()),
            ("with line breaks escaped twice", PKCS8.replace('\n', "\\\\n")),
            ("with escaped CRLF", PKCS8.replace('\n', "\\r\\n")),
            ("in one line", PKCS8.replace('\n', " ")),
            ("in quotes", format!("\"{escaped}\"")),
            ("indented", PKCS8.replace('\n', "\n    ")),
            ("coloured", format!("\u{1b}[32m{PKCS8}\u{1b}[0m")),
            ("coloured line by line", PKCS8.replace('\n', "\u{1b}[0m\n\u{1b}[1;32m")),
        ] {
            assert!(read(&text).is_ok(), "{how}: {:?}", read(&text).err());
        }
    }

    #[test]
    fn a_wrong_key_says_which_part_is_wrong() {
        let cut = PKCS8.split("-----END").next().unwrap();
        let lines: Vec<&str> = PKCS8.lines().collect();
        let shorter = [&lines[..3], &lines[5..]].concat().join("\n");
        for (text, code) in [
            ("", "pem_no_begin"),
            ("hello", "pem_no_begin"),
            ("-----BEGIN PRIVATE KEY", "pem_begin_cut"),
            (cut, "pem_no_end"),
            (&PKCS8.replace("MII", "M*I"), "pem_no_base64"),
            (&shorter, "pem_damaged"),
            (&PKCS8.replace("PRIVATE", "ENCRYPTED PRIVATE"), "pem_encrypted"),
            (&PKCS8.replace("PRIVATE", "PUBLIC"), "pem_public"),
            (&PKCS8.replace("PRIVATE", "EC PRIVATE"), "pem_no_rsa"),
            (SMALL, "pem_size"),
        ] {
            assert_eq!(read(text).err(), Some(code));
        }
    }

    #[test]
    fn a_token_is_signed_for_whoever_has_the_public_key() {
        let key = read(PKCS8).unwrap();
        let token = token(&key, &json!({"alg": "RS256"}), &json!({"iss": "x"})).unwrap();
        let (text, signature) = token.rsplit_once('.').unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public());
        assert!(public.verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).is_ok());
    }
}
