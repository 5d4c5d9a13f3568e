//! Distinguished names as text (RFC 4514), one text for one name, so that a revocation can name an issuer. It compares and trusts nothing.

use std::fmt::Write as _;

use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The name as RFC 4514 §2 writes it: last attribute first, `,` between RDNs, `+` inside one, special characters escaped.
///
/// Same as `openssl x509 -noout -issuer -nameopt RFC2253,utf8,-esc_msb` for the attributes of [`KEYWORDS`].
pub(super) fn rfc4514(name: &X509Name<'_>) -> String {
    reversed(name.iter_rdn().map(|relative| reversed(relative.iter().map(attribute).collect(), "+")).collect(), ",")
}

fn reversed(mut parts: Vec<String>, separator: &str) -> String {
    parts.reverse();
    parts.join(separator)
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let keyword = KEYWORDS.iter().find(|(known, _)| *known == oid).map(|(_, keyword)| *keyword);
    match (keyword, attribute.as_str()) {
        (Some(keyword), Ok(value)) => format!("{keyword}={}", escaped(value)),
        _ => format!("{}=#{}", keyword.unwrap_or(&oid), hex_of(attribute)),
    }
}

/// RFC 4514 §2.4: the characters that mean something are escaped with `\`, control characters as `\` and two hex digits.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (position, character) in value.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', character]),
            '#' if position == 0 => text.push_str("\\#"),
            ' ' if position == 0 || position == last => text.push_str("\\ "),
            _ if character.is_control() => escape_bytes(character, &mut text),
            _ => text.push(character),
        }
    }
    text
}

fn escape_bytes(character: char, text: &mut String) {
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        // Writing to a String never fails.
        let _ = write!(text, "\\{byte:02X}");
    }
}

/// RFC 4514 §2.4: what is no string we know is the hex of its BER.
fn hex_of(attribute: &AttributeTypeAndValue<'_>) -> String {
    let value = attribute.attr_value();
    let mut text = format!("{:02x}{}", value.tag().0 & 0xff, length_octets(value.data.len()));
    for byte in value.data {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn length_octets(length: usize) -> String {
    match length {
        0..0x80 => format!("{length:02x}"),
        0x80..0x100 => format!("81{length:02x}"),
        _ => format!("82{length:04x}"),
    }
}

/// Attribute types with a name of their own: RFC 4514 §3, and those that OpenSSL also names and CAs do use.
const KEYWORDS: [(&str, &str); 17] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "GN"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

#[cfg(test)]
mod tests {
    use rcgen::{DnType, DnValue};
    use x509_parser::prelude::FromDer as _;

    use super::{X509Name, rfc4514};
    use crate::identity::test_pki::ca_named;

    fn text_of(attributes: &[(DnType, DnValue)]) -> String {
        let der = ca_named(attributes);
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
        rfc4514(certificate.issuer())
    }

    #[test]
    fn a_name_is_written_as_rfc_4514_says() {
        let utf8 = |text: &str| DnValue::Utf8String(text.to_owned());
        let cases: [(&[(DnType, DnValue)], &str); 6] = [
            (&[(DnType::CountryName, utf8("DE")), (DnType::CommonName, utf8("root"))], "CN=root,C=DE"),
            (&[(DnType::OrganizationName, utf8("Sue, Grabbit + \"Runn\""))], r#"O=Sue\, Grabbit \+ \"Runn\""#),
            (&[(DnType::CommonName, utf8(" #a b "))], r"CN=\ #a b\ "),
            (&[(DnType::CommonName, utf8("#a\\<b>;"))], r"CN=\#a\\\<b\>\;"),
            (&[(DnType::CommonName, utf8("Lučić\u{7}"))], r"CN=Lučić\07"),
            (&[(DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 99]), utf8("hi"))], "1.3.6.1.4.1.99=#0c026869"),
        ];
        for (attributes, expected) in cases {
            assert_eq!(text_of(attributes), expected);
        }
    }

    /// A name with every kind of escape and a relative name of two attributes, as OpenSSL 3.0 encoded it.
    const BY_OPENSSL: &str = "3081ea310b3009060355040613024445310c300a06035504090c0320782031193017060355040a0c1041636d652c2022496e63\
        22202b202331311b3009060355040b0c022362300e06035504030c074c75c48d69c487310a300806035504051301373114301206092a864886f70d010901\
        16056140622e63310a3008060355042a0c0167310a300806035504040c0173310a3008060355040c0c0174310a300806035504610c016f31133011060a09\
        92268993f22c64011916036f72673111300f060a0992268993f22c6401010c0175310a3008060355042e130171310f300d06035504410c0670736575646f";

    #[test]
    fn a_name_is_written_as_openssl_writes_it() {
        let digits: Vec<u32> = BY_OPENSSL.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
        let der: Vec<u8> = digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect();
        let (_, name) = X509Name::from_der(&der).unwrap();
        assert_eq!(
            rfc4514(&name),
            "pseudonym=pseudo,dnQualifier=q,UID=u,DC=org,organizationIdentifier=o,title=t,SN=s,GN=g,emailAddress=a@b.c,\
             serialNumber=7,CN=Lučić+OU=\\#b,O=Acme\\, \\\"Inc\\\" \\+ #1,street=\\ x\\ ,C=DE"
        );
    }

    #[test]
    fn a_value_that_is_no_text_is_its_ber_in_hex() {
        let teletex = DnValue::TeletexString(rcgen::string::TeletexString::try_from("abc").unwrap());
        assert_eq!(text_of(&[(DnType::CommonName, teletex)]), "CN=#1403616263");
    }
}
