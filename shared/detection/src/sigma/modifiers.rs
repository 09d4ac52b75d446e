//! The modifiers behind a field's name.

use super::encoding::Utf16;
use super::pattern::Place;

/// Turns a value into another before it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transform {
    Utf16(Utf16),
    Base64,
    Base64Offset,
    Windash,
}

/// Compares magnitudes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How a value is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// As text with wildcards, or as a number.
    #[default]
    Plain,
    /// As a regular expression with these flags.
    Regex(String),
    Cidr,
    Order(Order),
    Exists,
    FieldRef,
}

/// All that the modifiers of a field say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Modifiers {
    pub(super) mode: Mode,
    pub(super) place: Place,
    pub(super) transforms: Vec<Transform>,
    pub(super) all: bool,
    pub(super) cased: bool,
    pub(super) negated: bool,
}

impl Modifiers {
    /// Reads the names behind the field's.
    ///
    /// # Errors
    /// Which of them is unknown, or does not go with another.
    pub(super) fn read<'t>(names: impl Iterator<Item = &'t str>) -> Result<Self, String> {
        let mut read = Self::default();
        for name in names {
            read.add(name)?;
        }
        let plain = read.mode == Mode::Plain;
        if !plain && !read.transforms.is_empty() {
            return Err("an encoding does not go with this comparison".to_owned());
        }
        if read.place != Place::Whole && !plain && read.mode != Mode::FieldRef {
            return Err("`contains`, `startswith` and `endswith` do not go with this comparison".to_owned());
        }
        if read.cased && !plain && read.mode != Mode::FieldRef {
            return Err("`cased` does not go with this comparison".to_owned());
        }
        if read.mode == Mode::Exists && (read.all || read.negated) {
            return Err("`exists` goes with no other modifier".to_owned());
        }
        Ok(read)
    }

    fn add(&mut self, name: &str) -> Result<(), String> {
        match name {
            "all" => self.all = true,
            "cased" => self.cased = true,
            "neq" => self.negated = true,
            "contains" => self.place(Place::Anywhere)?,
            "startswith" => self.place(Place::Start)?,
            "endswith" => self.place(Place::End)?,
            "wide" | "utf16le" => self.transforms.push(Transform::Utf16(Utf16::Little)),
            "utf16be" => self.transforms.push(Transform::Utf16(Utf16::Big)),
            "utf16" => self.transforms.push(Transform::Utf16(Utf16::Marked)),
            "base64" => self.transforms.push(Transform::Base64),
            "base64offset" => self.transforms.push(Transform::Base64Offset),
            "windash" => self.transforms.push(Transform::Windash),
            "re" => self.mode(Mode::Regex(String::new()))?,
            "cidr" => self.mode(Mode::Cidr)?,
            "lt" => self.mode(Mode::Order(Order::Less))?,
            "lte" => self.mode(Mode::Order(Order::LessOrEqual))?,
            "gt" => self.mode(Mode::Order(Order::Greater))?,
            "gte" => self.mode(Mode::Order(Order::GreaterOrEqual))?,
            "exists" => self.mode(Mode::Exists)?,
            "fieldref" => self.mode(Mode::FieldRef)?,
            "i" | "ignorecase" | "m" | "multiline" | "s" | "dotall" => match &mut self.mode {
                Mode::Regex(flags) => {
                    flags.push(match name {
                        "i" | "ignorecase" => 'i',
                        "m" | "multiline" => 'm',
                        _ => 's',
                    });
                }
                _ => return Err(format!("`{name}` stands only behind `re`")),
            },
            "expand" => return Err("`expand` needs the values of its placeholders, and there are none".to_owned()),
            "minute" | "hour" | "day" | "week" | "month" | "year" => {
                return Err(format!("the time modifier `{name}` is not supported"));
            }
            other => return Err(format!("the modifier `{other}` is unknown")),
        }
        Ok(())
    }

    fn place(&mut self, place: Place) -> Result<(), String> {
        if self.place != Place::Whole {
            return Err("two of `contains`, `startswith` and `endswith`".to_owned());
        }
        self.place = place;
        Ok(())
    }

    fn mode(&mut self, mode: Mode) -> Result<(), String> {
        if self.mode != Mode::Plain {
            return Err("two modifiers that each say how to compare".to_owned());
        }
        self.mode = mode;
        Ok(())
    }
}
