//! One declaration for each part of the manifest: from it come the struct, the decoder with its
//! list of known keys, and the JSON Schema with its descriptions. They cannot differ.

/// A map with known keys.
///
/// `"key" => field: Type` for a key that may be left out, `= required` for one that may not, and
/// at the end `..field: Type` for the keys of another such struct, written in the same map.
macro_rules! keys {
    (
        $(#[doc = $about:literal])+
        $name:ident, $what:literal;
        $( $(#[doc = $doc:literal])+ $key:literal => $field:ident: $ty:ty $(= $required:ident)? ,)*
        $( ..$flat:ident: $flat_ty:ty, )?
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        #[allow(dead_code, reason = "some keys are decoded only to be checked")]
        pub(crate) struct $name {
            /// Where it begins.
            pub head: $crate::diagnostic::Span,
            $( $(#[doc = $doc])+ pub $field: $crate::typed::decode::Field<$ty>, )*
            $( pub $flat: $flat_ty, )?
        }

        impl $crate::typed::decode::Keys for $name {
            const WHAT: &'static str = $what;

            fn keys(out: &mut Vec<&'static str>) {
                out.extend([$($key),*]);
                $( <$flat_ty as $crate::typed::decode::Keys>::keys(out); )?
            }

            fn properties(
                generator: &mut schemars::SchemaGenerator,
                out: &mut $crate::typed::decode::Properties,
            ) {
                $(
                    let schema = generator.subschema_for::<$ty>();
                    out.add($key, &[$($doc),+], schema, !<[&str]>::is_empty(&[$(stringify!($required))?]));
                )*
                $( <$flat_ty as $crate::typed::decode::Keys>::properties(generator, out); )?
            }

            fn take(entries: &mut $crate::typed::decode::Entries, cx: &mut $crate::typed::decode::Cx) -> Self {
                $(
                    #[allow(unused_mut, reason = "only required keys are written to again")]
                    let mut $field = entries.field::<$ty>($key, cx);
                    $( keys!(@required $required entries $key $field cx); )?
                )*
                Self {
                    head: entries.head,
                    $($field,)*
                    $( $flat: <$flat_ty as $crate::typed::decode::Keys>::take(entries, cx), )?
                }
            }
        }

        impl $crate::typed::decode::Typed for $name {
            fn decode(node: &$crate::yaml::Node, cx: &mut $crate::typed::decode::Cx) -> Option<Self> {
                $crate::typed::decode::decode_keys(node, cx)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::typed::decode::keys_schema::<Self>(generator, &[$($about),+])
            }
        }
    };
    (@required required $entries:ident $key:literal $field:ident $cx:ident) => {
        $entries.require($key, &mut $field, $cx)
    };
}

/// A scalar with a form of its own: a type around what its parser gives.
///
/// `shown` stands for a scalar that messages name and that therefore cannot be secret.
macro_rules! scalar {
    (
        $(#[doc = $about:literal])+
        $name:ident($inner:ty), $what:literal, $code:path, $method:ident($parse:expr), $schema:tt
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        #[allow(dead_code, reason = "some scalars are decoded only to be checked")]
        pub(crate) struct $name(pub $inner);

        impl $crate::typed::decode::Typed for $name {
            fn decode(node: &$crate::yaml::Node, cx: &mut $crate::typed::decode::Cx) -> Option<Self> {
                cx.$method(node, $what, $code, $parse).map(Self)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

pub(crate) use {keys, scalar};
