//! Why a text is no XFCC header that Envoy wrote: one variant for each rule. Holds bad values shortened.

use thiserror::Error;

use super::Key;
use crate::identity::InvalidPercentText;

/// An `x-forwarded-client-cert` that we do not take. Offsets are bytes from the start of the value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidXfcc {
    /// A key that can stand once in an element stands there twice.
    #[error(
        "xfcc element has more than one {key}; the client can have added it, so let the edge proxy use SANITIZE_SET"
    )]
    DuplicateKey {
        /// The key.
        key: Key,
    },
    /// There is nothing where an element should be.
    #[error("xfcc has an empty element at byte {offset}; remove the header or the extra comma")]
    EmptyElement {
        /// Where.
        offset: usize,
    },
    /// There is nothing where a pair should be.
    #[error("xfcc has an empty pair at byte {offset}; remove the extra semicolon")]
    EmptyPair {
        /// Where.
        offset: usize,
    },
    /// The value of a key that Envoy leaves out when it has no value is empty.
    #[error("xfcc {key} is empty; leave it out when there is no value")]
    EmptyValue {
        /// The key.
        key: Key,
    },
    /// `Hash` is not a SHA-256 in hex.
    #[error("xfcc Hash {found} is not the SHA-256 of a certificate; write it as 64 lower-case hex digits")]
    Hash {
        /// The value, shortened.
        found: String,
    },
    /// An element is in the JSON format of Envoy 1.38 and later.
    #[error(
        "xfcc at byte {offset} is in JSON format, which we do not read; leave set_client_cert_format at its default, text"
    )]
    JsonFormat {
        /// Where.
        offset: usize,
    },
    /// A key is known but not spelt as Envoy spells it.
    #[error("xfcc key {found} is not written as Envoy writes it; write {key}")]
    KeyCase {
        /// The key as it was written.
        found: String,
        /// The key that was meant.
        key: Key,
    },
    /// A key has no value.
    #[error("xfcc has {text} at byte {offset} where a key and = should be; write pairs as key=value")]
    MissingEquals {
        /// What stands there, shortened.
        text: String,
        /// Where.
        offset: usize,
    },
    /// The text reads well but would be written differently.
    #[error("xfcc is not as Envoy writes it from byte {offset} on; let only Envoy write this header")]
    NotCanonical {
        /// Where the difference begins.
        offset: usize,
    },
    /// There is a control character or one outside ASCII.
    #[error("xfcc has {found:?} at byte {offset}; only printable ASCII is allowed")]
    NotPrintable {
        /// The character.
        found: char,
        /// Where.
        offset: usize,
    },
    /// A value that Envoy quotes stands without quotes.
    #[error("xfcc {key} has no quotes; write it as {key}=\"…\"")]
    NotQuoted {
        /// The key.
        key: Key,
    },
    /// The bytes are no UTF-8.
    #[error("xfcc is not UTF-8 at byte {offset}; only printable ASCII is allowed")]
    NotUtf8 {
        /// Where.
        offset: usize,
    },
    /// A quoted value has no end.
    #[error("xfcc quote at byte {offset} is never closed; end the value with a quote that has no backslash before it")]
    OpenQuote {
        /// Where it was opened.
        offset: usize,
    },
    /// A certificate is not percent-encoded as it should be.
    #[error("xfcc {key}: {cause}")]
    Percent {
        /// The key.
        key: Key,
        /// What is wrong with it.
        cause: InvalidPercentText,
    },
    /// A value that Envoy writes bare stands in quotes.
    #[error("xfcc {key} is quoted; write it bare, as Envoy does")]
    Quoted {
        /// The key.
        key: Key,
    },
    /// There is a quote within a bare value.
    #[error("xfcc has a quote in a bare value at byte {offset}; a name with a quote in it can't be forwarded safely")]
    StrayQuote {
        /// Where.
        offset: usize,
    },
    /// A quoted value goes on after its closing quote.
    #[error("xfcc has text after a closing quote at byte {offset}; a semicolon, a comma or the end must follow")]
    TextAfterQuote {
        /// Where.
        offset: usize,
    },
    /// The header is too long.
    #[error("xfcc has {length} bytes; at most {max} are allowed, so forward less or raise the limit")]
    TooManyBytes {
        /// Its length in bytes.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// The header has too many elements.
    #[error("xfcc has more than {max} elements; let the edge proxy use SANITIZE_SET or raise the limit")]
    TooManyElements {
        /// The limit.
        max: usize,
    },
    /// A key is not one of Envoy's.
    #[error("xfcc key {found} is unknown; known are By, Cert, Chain, DNS, Hash, Issuer, Subject and URI")]
    UnknownKey {
        /// The key, shortened.
        found: String,
    },
    /// A value has characters or escapes that Envoy would not write for its key.
    #[error("xfcc {key} has {found}, which Envoy does not write; let only Envoy write this header")]
    Value {
        /// The key.
        key: Key,
        /// The value, shortened.
        found: String,
    },
}
