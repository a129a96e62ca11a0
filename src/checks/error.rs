//! The codes of what a circuit says without meaning it.

use crate::base::Code;

macro_rules! codes {
    ($($name:ident = $code:literal;)*) => {
        $(pub const $name: Code = Code($code);)*
        /// Every code of this room.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    RUNAWAY = "W1004";
    SILENT_STATE = "W1005";
    NOTHING_EXCITES = "W1006";
    UNUSED_NAME = "W1007";
    UNUSED_POPULATION = "W1008";
    CONSTANT_EXPECT = "W1009";
    AXIS_HIDES_PARAM = "W1010";
    EVENT_NOT_SENT = "W1012";
}
