/// Defines facts as structs, each called like its event type, with public fields that serialise in camel case.
///
/// A fact whose definition begins with `refusal` takes a `reason: String` and stands for a business no; the engine
/// makes one of itself where it forbids an effect, so it can have no other field.
///
/// ```
/// jetsaga::facts! {
///     RoomBooked { room: u32 }
///     refusal RoomUnavailable
/// }
/// let booked = jetsaga::Payload::of(&RoomBooked { room: 12 })?;
/// assert_eq!(booked.text(), r#"{"room":12}"#);
/// # Ok::<(), jetsaga::serde_json::Error>(())
/// ```
#[macro_export]
macro_rules! facts {
    () => {};
    (refusal $name:ident $($rest:tt)*) => {
        $crate::facts! { $name { reason: String } }
        impl $crate::Refusal for $name {
            fn forbidden(_: &$crate::State, reason: &str) -> Self {
                Self { reason: reason.to_owned() }
            }
            fn reason(&self) -> String {
                self.reason.clone()
            }
        }
        $crate::facts! { $($rest)* }
    };
    ($name:ident { $($field:ident: $type:ty),* $(,)? } $($rest:tt)*) => {
        #[doc = concat!("The fact `", stringify!($name), "`.")]
        #[derive(Clone, Debug, PartialEq, $crate::serde::Serialize, $crate::serde::Deserialize)]
        #[serde(crate = "jetsaga::serde", rename_all = "camelCase")]
        pub struct $name {
            $(#[doc = concat!("The field `", stringify!($field), "`.")] pub $field: $type,)*
        }
        impl $crate::Fact for $name {
            const TYPE: &'static str = stringify!($name);
        }
        $crate::facts! { $($rest)* }
    };
}
