//! The codes of what goes wrong once sizes and params are known.

use crate::base::Code;

macro_rules! codes {
    ($($name:ident = $code:literal;)*) => {
        $(pub const $name: Code = Code($code);)*
        /// Every code of this room.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    XI_PLACE = "E0408";
    EXACT_IMPOSSIBLE = "E0410";
    NOT_CONDITIONALLY_LINEAR = "E0411";
    COUPLED_IN_A_CIRCLE = "E0414";
    AXIAL_NOT_LINEAR = "E0415";
    NOISE_IN_ADAPTIVE_STEPS = "E0416";
    NEGATIVE_SIZE = "E0505";
    TOO_LARGE = "E0506";
    DELAY_BELOW_STEP = "E0507";
    PROBABILITY = "E0508";
    DEGREE = "E0509";
    OUT_OF_BOUNDS = "E0510";
    SLICE = "E0511";
    SIZES_DIFFER = "E0512";
    EVALUATION = "E0513";
    OVERRIDE = "E0514";
    EDGE_LIST = "E0515";
    DELAY_UNBOUNDED = "E0516";
    ROUNDED = "W0517";
    CONDUCTION = "W0533";
    WINNERS_COUNT = "E0534";
    STEP_LENGTH = "E0518";
    EMPTY_CIRCUIT = "E0519";
    MEMORY = "E0520";
    LOOP_LENGTH = "E0521";
    STARTS_OUTSIDE = "E0555";
    REGROW = "E0558";
    STARTS_OUTSIDE_BY_CHANCE = "W0556";
    NEGATIVE_CONDUCTANCE = "W0559";
    ZERO_DELAY_LOOP = "E0541";
    SYMMETRIC = "E0542";
    FOR_TIME = "E0604";
    UNKNOWN_EXPERIMENT = "E0605";
    STEP_OVER_TIME_CONSTANT = "W0413";
    DALE = "E1001";
    DALE_BY_CHANCE = "W1002";
    SHORT_DELAYS = "W1003";
    NEGATIVE = "E1011";
}
