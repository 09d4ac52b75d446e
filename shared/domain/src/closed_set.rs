//! A macro for the closed sets of names that the contract spells out.

/// Makes an enum whose variants are spelled as given, everywhere: JSON, queries, logs.
///
/// `FromStr` fails with [`UnknownName`](crate::UnknownName), which lists what is allowed.
macro_rules! closed_set {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Every value as it is spelled.
            pub const NAMES: &'static [&'static str] = &[$($text),+];

            /// As the contract spells it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(crate::UnknownName { what: $what, allowed: Self::NAMES }),
                }
            }
        }
    };
}
pub(crate) use closed_set;

/// A name outside its closed set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what}; allowed: {}", allowed.join(", "))]
pub struct UnknownName {
    /// What the name was to be, as `severity`.
    pub what: &'static str,
    /// The names there are.
    pub allowed: &'static [&'static str],
}
