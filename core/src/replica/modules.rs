//! Which modules the state of a cluster has.
//!
//! To add one: its folder, a number that no other has
//! ([`Module::ids`](super::Module::ids)), and its line in the table. It does nothing
//! before a command has switched it on in a cluster (`switches.rs`); only the first one
//! always is on. As long as there is one line the module stands for the whole; with a
//! second one the table makes sums of the modules' operations, outcomes and notices, one
//! variant each. The bytes stay what they are: the first byte of an operation or an
//! outcome says whose it is.

use crate::kv::Kv;

/// Makes a set of modules from its table, `field: Variant = Module`. The set is a
/// module itself. The first one speaks for the state where no module was asked.
macro_rules! modules {
    ($(#[$meta:meta])* $vis:vis $set:ident { $field:ident: $variant:ident = $module:ty, }) => {
        $(#[$meta])*
        $vis type $set = $module;
    };
    ($(#[$meta:meta])* $vis:vis $set:ident {
        $first:ident: $first_variant:ident = $first_module:ty,
        $($field:ident: $variant:ident = $module:ty,)+
    }) => {
        $crate::replica::modules::modules! {
            @sum $(#[$meta])* $vis $set, $first_variant,
            [$first: $first_variant = $first_module, $($field: $variant = $module,)+]
        }
    };
    (@sum $(#[$meta:meta])* $vis:vis $set:ident, $first:ident,
        [$($field:ident: $variant:ident = $module:ty,)+]) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        $vis struct $set {
            $(pub $field: $module,)+
        }

        /// An operation of one of the modules.
        #[derive(Debug, Clone, PartialEq, Eq)]
        $vis enum Op {
            $($variant(<$module as $crate::replica::Module>::Op),)+
        }

        /// An outcome of one of the modules.
        #[derive(Debug, Clone, PartialEq, Eq)]
        $vis enum Outcome {
            $($variant(<$module as $crate::replica::Module>::Outcome),)+
        }

        /// A notice of one of the modules.
        #[derive(Debug, Clone, PartialEq, Eq)]
        $vis enum Notice {
            $($variant(<$module as $crate::replica::Module>::Notice),)+
        }

        $crate::replica::modules::modules! { @codec Op, [$($variant = $module,)+] }
        $crate::replica::modules::modules! { @codec Outcome, [$($variant = $module,)+] }
        $crate::replica::modules::modules! {
            @module $set, [$($field: $variant = $module,)+]
        }

        impl From<$crate::replica::Verdict> for Outcome {
            fn from(verdict: $crate::replica::Verdict) -> Self {
                Self::$first(verdict.into())
            }
        }
    };
    (@codec $sum:ident, [$($variant:ident = $module:ty,)+]) => {
        // Not derived: modules share one row of tags, and the sum adds none.
        impl $crate::codec::Encode for $sum {
            fn encode(&self, writer: &mut $crate::codec::Writer) {
                match self {
                    $(Self::$variant(inner) => writer.put(inner),)+
                }
            }

            fn size_hint(&self) -> usize {
                match self {
                    $(Self::$variant(inner) => inner.size_hint(),)+
                }
            }

            fn is_readable(&self) -> bool {
                match self {
                    $(Self::$variant(inner) => inner.is_readable(),)+
                }
            }
        }

        impl $crate::codec::Decode for $sum {
            fn decode(
                reader: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::DecodeError> {
                let tag = reader.clone().u8()?;
                $(if <$module as $crate::replica::Module>::owns_tag(tag) {
                    return Ok(Self::$variant(reader.get()?));
                })+
                Err($crate::codec::DecodeError::UnknownTag { what: "module", tag })
            }
        }
    };
    (@module $set:ident, [$($field:ident: $variant:ident = $module:ty,)+]) => {
        impl $crate::replica::Module for $set {
            type Op = Op;
            type Outcome = Outcome;
            type Notice = Notice;

            fn ids() -> $crate::types::Modules {
                let each = [$(<$module as $crate::replica::Module>::ids()),+];
                let all = each.iter().fold($crate::types::Modules::NONE, |all, ids| all.and(*ids));
                let count: u32 = each.iter().map(|ids| ids.count()).sum();
                assert!(all.count() == count, "a number has one owner");
                all
            }

            fn owner(op: &Op) -> $crate::types::ModuleId {
                match op {
                    $(Op::$variant(op) => <$module as $crate::replica::Module>::owner(op),)+
                }
            }

            fn owns_space(space: u8) -> bool {
                let owners = [$(<$module as $crate::replica::Module>::owns_space(space)),+];
                let count = owners.into_iter().filter(|owns| *owns).count();
                assert!(count <= 1, "a space has one owner");
                count == 1
            }

            fn owns_tag(tag: u8) -> bool {
                let owners = [$(<$module as $crate::replica::Module>::owns_tag(tag)),+];
                let count = owners.into_iter().filter(|owns| *owns).count();
                assert!(count <= 1, "a tag has one owner");
                count == 1
            }

            fn validate(&self, op: &Op) -> Result<(), Outcome> {
                match op {
                    $(Op::$variant(op) => self.$field.validate(op).map_err(Outcome::$variant),)+
                }
            }

            fn apply(&mut self, ctx: &mut $crate::replica::Ctx<'_>, op: &Op) -> Outcome {
                match op {
                    $(Op::$variant(op) => {
                        Outcome::$variant(self.$field.apply(&mut ctx.of::<$module>(), op))
                    })+
                }
            }

            fn expire(
                &mut self,
                ctx: &mut $crate::replica::Ctx<'_>,
                holder: $crate::replica::Holder,
            ) {
                $(if <$module as $crate::replica::Module>::owns_space(holder.space) {
                    return self.$field.expire(&mut ctx.of::<$module>(), holder);
                })+
                unreachable!("only a module of the set has announced it");
            }

            fn for_full_state(outcome: &Outcome) -> Option<Outcome> {
                match outcome {
                    $(Outcome::$variant(outcome) => {
                        <$module as $crate::replica::Module>::for_full_state(outcome)
                            .map(Outcome::$variant)
                    })+
                }
            }

            fn begin_entry(&mut self) {
                $(self.$field.begin_entry();)+
            }

            fn end_entry(&mut self) {
                $(self.$field.end_entry();)+
            }

            fn take_notices(&mut self) -> alloc::vec::Vec<Notice> {
                let mut notices = alloc::vec::Vec::new();
                $(notices.extend(self.$field.take_notices().into_iter().map(Notice::$variant));)+
                notices
            }

            fn emptied(&self) -> Self {
                Self { $($field: self.$field.emptied(),)+ }
            }

            fn load(
                &mut self,
                loading: &mut $crate::replica::Loading<'_>,
            ) -> Result<(), $crate::replica::ImageError> {
                $(self.$field.load(loading)?;)+
                Ok(())
            }

            fn held(&self) -> $crate::replica::Held {
                let mut all = $crate::replica::Held::default();
                $(let held = self.$field.held();
                all.pairs += held.pairs;
                all.holders += held.holders;)+
                all
            }

            fn has_indexes_of(&self, other: &Self) -> bool {
                $(self.$field.has_indexes_of(&other.$field))&&+
            }

            fn audit(&self) {
                $(self.$field.audit();)+
            }
        }

        $(impl AsRef<$module> for $set {
            fn as_ref(&self) -> &$module {
                &self.$field
            }
        })+
    };
}

#[cfg(test)]
pub(crate) use modules;

modules! {
    /// What this version's clusters keep.
    pub Installed {
        kv: Kv = Kv,
    }
}
