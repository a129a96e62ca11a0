//! The codes of what an author can get wrong between the syntax and the run, and the diagnostics that several places raise.

use crate::base::Code;
use crate::base::diag::did_you_mean;
use crate::units::Dimension;

macro_rules! codes {
    ($($name:ident = $code:literal;)*) => {
        $(pub const $name: Code = Code($code);)*
        /// Every code of this room.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    FILE_NOT_FOUND = "E0101";
    IMPORT_CYCLE = "E0102";
    OUTSIDE_PROJECT = "E0103";
    NOT_UTF8 = "E0104";
    NOT_IN_MODULE = "E0105";
    UNREADABLE = "E0106";
    DATA_FILE = "E0107";
    MANIFEST = "E0108";
    NO_DEPENDENCY = "E0109";
    DEPENDENCY_VERSION = "E0110";
    COMPILER_VERSION = "E0111";
    UNKNOWN_NAME = "E0201";
    NAME_TAKEN = "E0202";
    WRONG_THING = "E0203";
    UNKNOWN_MEMBER = "E0204";
    UNKNOWN_ARGUMENT = "E0205";
    UNBOUND_PARAM = "E0206";
    ARGUMENT_COUNT = "E0207";
    CYCLIC_DEFINITION = "E0208";
    NOT_HERE = "E0209";
    ONLY_PORTS = "E0220";
    PORT_SIDE = "E0221";
    OVERRIDE_TARGET = "E0222";
    REGION_ARRAY = "E0223";
    UNKNOWN_UNIT = "E0301";
    DIMENSION_MISMATCH = "E0302";
    EQUATION_DIMENSION = "E0303";
    FUNCTION_DIMENSION = "E0304";
    BINDING_DIMENSION = "E0305";
    WEIGHT_DIMENSION = "E0306";
    EXPONENT = "E0307";
    KIND_MISMATCH = "E0308";
    MISSING_UNIT = "E0309";
    LITERAL_RANGE = "E0310";
    UNKNOWN_DIMENSION = "E0311";
    UNKNOWN_STATE = "E0401";
    SECOND_EQUATION = "E0402";
    RECEPTOR_NOT_LINEAR = "E0403";
    UNKNOWN_METHOD = "E0404";
    ASSIGN_TARGET = "E0405";
    SOURCE_MODEL = "E0406";
    NO_RESET = "W0407";
    SECOND_SPIKE_RULE = "E0409";
    COUPLING = "E0412";
    NOT_BILINEAR = "E0430";
    CONNECT_RULE = "E0501";
    RECEPTOR_CHOICE = "E0502";
    NO_WEIGHT = "E0503";
    NO_DELAY = "E0504";
    LAYOUT = "E0530";
    NO_POSITION = "E0531";
    WINNERS = "E0532";
    LOCALITY = "E0551";
    RULE_NEEDS = "E0552";
    RULE_WEIGHT = "E0553";
    SECOND_DELIVER = "E0554";
    REGROW = "E0557";
    CONTINUOUS_ENDS = "E0540";
    MATRIX = "E0543";
    PROCEDURAL = "E0544";
    NOT_SETTABLE = "E0601";
    UNKNOWN_WINDOW = "E0602";
    STATISTIC_TARGET = "E0603";
    REPLAY = "E0620";
    ENVIRONMENT_OUTPUT = "E0630";
    ENVIRONMENT_STEP = "E0631";
    ENVIRONMENT_MEMBER = "E0632";
}

/// "voltage (mV)", "a number".
pub fn dimension_words(dim: Dimension) -> String {
    if dim.is_number() {
        "a number".to_string()
    } else {
        let name = dim.to_string();
        let unit = dim.typical_unit();
        if name == unit { name } else { format!("{name} ({unit})") }
    }
}

/// "is in mV", "is a number".
pub fn in_words(dim: Dimension) -> String {
    if dim.is_number() { "is a number".to_string() } else { format!("is in {}", dim.typical_unit()) }
}

/// What to try in the place of a binding that fits no param.
pub fn params_help(written: &str, all: &[&str]) -> String {
    match did_you_mean(written, all.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if all.is_empty() => "it has no params".to_string(),
        None => format!("its params are {}", all.join(", ")),
    }
}
