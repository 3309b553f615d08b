use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
    ser::SerializeMap,
};

use crate::Payload;

/// Fields that newer code wrote and this code does not know. They are written again as they were read, to the digit, so
/// that an older worker loses nothing of them. [`carries_more!`](crate::carries_more!) reads and writes a struct that has
/// them.
///
/// Costs nothing while there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct More(BTreeMap<Box<str>, Payload>);

impl More {
    /// True if this code knows every field.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The field called `name`, as it was written.
    pub fn get(&self, name: &str) -> Option<&Payload> {
        self.0.get(name)
    }

    /// Puts a field there, in the place of what it was.
    pub fn insert(&mut self, name: &str, value: Payload) {
        self.0.insert(name.into(), value);
    }

    /// Keeps those fields alone that `other` has too, as it has them: what is left says whether anything of `other` is lost.
    pub fn limit_to(&mut self, other: &Self) {
        self.0.retain(|name, _| other.0.contains_key(name));
        for (name, value) in &mut self.0 {
            if let Some(other) = other.get(name) {
                value.clone_from(other);
            }
        }
    }

    /// Writes them as the last fields of an object.
    ///
    /// # Errors
    /// Those of `map`.
    pub fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.0
            .iter()
            .try_for_each(|(name, value)| map.serialize_entry(name, value))
    }
}

/// The name of a field, borrowed from what is read where it can be.
pub struct Name<'de>(pub Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Reads and writes a struct as JSON under these names and in this order, with what it does not know in its field `more`.
///
/// `needed` fails where it is missing; `given` is an `Option` that is left out where there is none; `counted` is a number
/// that is left out where it is 0; `listed` is a `Vec` that is left out where it is empty. `..field: Type { … }` comes
/// first, and its fields stand in the object itself. A field that comes twice and a list for an object are refused.
///
/// A derive with `flatten` would read numbers in unknown fields as floats.
///
/// ```
/// use saga::{More, carries_more};
///
/// struct Place { hall: u32 }
/// struct Parcel { place: Place, sender: Option<String>, more: More }
/// carries_more!(Parcel { ..place: Place { hall "hall" needed }, sender "sender" given });
///
/// let newer = r#"{"hall":7,"sender":"Ann","weight":1.50}"#;
/// let read: Parcel = serde_json::from_str(newer)?;
/// assert_eq!((read.place.hall, read.sender.as_deref()), (7, Some("Ann")));
/// assert_eq!(serde_json::to_string(&read)?, newer);
/// # Ok::<(), saga::JsonError>(())
/// ```
#[macro_export]
macro_rules! carries_more {
    ($type:ident {
        $(..$part:ident: $part_type:ident { $($inner:ident $inner_name:literal $inner_mode:ident),+ $(,)? },)*
        $($field:ident $name:literal $mode:ident),+ $(,)?
    }) => {
        impl $crate::__private::serde::Serialize for $type {
            fn serialize<S: $crate::__private::serde::Serializer>(&self, serializer: S) -> ::std::result::Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                $($($crate::carries_more!(@write $inner_mode, map, $inner_name, self.$part.$inner);)+)*
                $($crate::carries_more!(@write $mode, map, $name, self.$field);)+
                self.more.write(&mut map)?;
                $crate::__private::serde::ser::SerializeMap::end(map)
            }
        }

        impl<'de> $crate::__private::serde::Deserialize<'de> for $type {
            fn deserialize<D: $crate::__private::serde::Deserializer<'de>>(deserializer: D) -> ::std::result::Result<Self, D::Error> {
                struct Fields;
                impl<'de> $crate::__private::serde::de::Visitor<'de> for Fields {
                    type Value = $type;
                    fn expecting(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                        f.write_str(concat!("the fields of a ", stringify!($type)))
                    }
                    fn visit_map<A: $crate::__private::serde::de::MapAccess<'de>>(self, mut map: A) -> ::std::result::Result<$type, A::Error> {
                        use $crate::__private::serde::de::Error as _;
                        $($(let mut $inner = None;)+)*
                        $(let mut $field = None;)+
                        let mut more = $crate::More::default();
                        while let Some(name) = map.next_key::<$crate::__private::Name<'de>>()? {
                            match &*name.0 {
                                $($($inner_name if $inner.is_none() => $inner = Some(map.next_value()?),
                                $inner_name => return Err(A::Error::duplicate_field($inner_name)),)+)*
                                $($name if $field.is_none() => $field = Some(map.next_value()?),
                                $name => return Err(A::Error::duplicate_field($name)),)+
                                unknown => more.insert(unknown, map.next_value()?),
                            }
                        }
                        Ok($type {
                            $($part: $part_type {
                                $($inner: $crate::carries_more!(@read $inner_mode, A, $inner_name, $inner),)+
                            },)*
                            $($field: $crate::carries_more!(@read $mode, A, $name, $field),)+
                            more,
                        })
                    }
                }
                deserializer.deserialize_map(Fields)
            }
        }
    };
    (@write needed, $map:ident, $name:literal, $($value:tt)+) => {
        $crate::__private::serde::ser::SerializeMap::serialize_entry(&mut $map, $name, &$($value)+)?;
    };
    (@write given, $map:ident, $name:literal, $($value:tt)+) => {
        if let Some(value) = &$($value)+ {
            $crate::__private::serde::ser::SerializeMap::serialize_entry(&mut $map, $name, value)?;
        }
    };
    (@write counted, $map:ident, $name:literal, $($value:tt)+) => {
        if $($value)+ != 0 {
            $crate::carries_more!(@write needed, $map, $name, $($value)+);
        }
    };
    (@write listed, $map:ident, $name:literal, $($value:tt)+) => {
        if !$($value)+.is_empty() {
            $crate::carries_more!(@write needed, $map, $name, $($value)+);
        }
    };
    (@read needed, $access:ident, $name:literal, $field:ident) => {
        $field.ok_or_else(|| $access::Error::missing_field($name))?
    };
    (@read $optional:ident, $access:ident, $name:literal, $field:ident) => { $field.unwrap_or_default() };
}
