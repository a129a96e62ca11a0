//! What the instructions of each width and precision are called.

use iced_x86::{Code, Register};

/// The registers and instructions of one width and precision.
pub struct Shape {
    pub single: bool,
    /// Truths have registers of their own, which mask instructions, and scalars in memory are operands: AVX-512. Otherwise a truth is
    /// all or no bits of a lane, and a scalar is spread first.
    pub masks: bool,
    pub lanes: i32,
    /// Of a lane.
    pub bytes: u32,
    /// Numbers live in the first `numbers` registers from here; then come one for what needs two steps, the faults and zeros.
    pub first: Register,
    pub numbers: usize,
    /// The first register of truths, and one for what needs two steps.
    pub truth: Register,
    pub spare: Register,
    pub load: Code,
    pub store: Code,
    /// One scalar to all lanes.
    pub spread: Code,
    pub add: Code,
    /// To the first the product of the others.
    pub add_product: Code,
    pub sub: Code,
    pub mul: Code,
    pub div: Code,
    pub min: Code,
    pub max: Code,
    pub xor: Code,
    pub and: Code,
    pub sqrt: Code,
    pub round: Code,
    pub compare: Code,
    pub blend: Code,
    /// Signed words of 32 bits to numbers.
    pub from_words: Code,
    /// Counts of 16 bits to integers in the registers that begin here, and these to numbers.
    pub widened: Register,
    pub widen_counts: Code,
    pub from_widened: Code,
    /// Sums in double precision to half a register, of those that begin here, and two halves to one.
    pub half: Register,
    pub from_sums: Code,
    pub join: Code,
    pub both: Code,
    pub either: Code,
    pub not: Code,
    pub but_not: Code,
    pub load_truths: Code,
    pub store_truths: Code,
    pub take_truths: Code,
    /// What fills bytes with zeros: how many, how, from where; the most first.
    pub clears: [(u32, Code, Register); 3],
    /// Where the bits of spikes are spread over bytes, how, and what of it is stored how.
    pub spikes: Register,
    pub deposit: Code,
    pub stored: Register,
    pub store_spikes: Code,
}

const CLEARS_512: [(u32, Code, Register); 3] = [
    (64, Code::EVEX_Vmovupd_zmmm512_k1z_zmm, Register::ZMM31),
    (32, Code::EVEX_Vmovdqu32_ymmm256_k1z_ymm, Register::YMM31),
    (16, Code::EVEX_Vmovdqu32_xmmm128_k1z_xmm, Register::XMM31),
];

const CLEARS_256: [(u32, Code, Register); 3] = [
    (32, Code::VEX_Vmovdqu_ymmm256_ymm, Register::YMM15),
    (16, Code::VEX_Vmovdqu_xmmm128_xmm, Register::XMM15),
    (8, Code::VEX_Vmovq_xmmm64_xmm, Register::XMM15),
];

static DOUBLE_512: Shape = Shape {
    single: false,
    masks: true,
    lanes: 8,
    bytes: 8,
    first: Register::ZMM0,
    numbers: 29,
    truth: Register::K1,
    spare: Register::K7,
    load: Code::EVEX_Vmovupd_zmm_k1z_zmmm512,
    store: Code::EVEX_Vmovupd_zmmm512_k1z_zmm,
    spread: Code::EVEX_Vbroadcastsd_zmm_k1z_xmmm64,
    add: Code::EVEX_Vaddpd_zmm_k1z_zmm_zmmm512b64_er,
    add_product: Code::EVEX_Vfmadd231pd_zmm_k1z_zmm_zmmm512b64_er,
    sub: Code::EVEX_Vsubpd_zmm_k1z_zmm_zmmm512b64_er,
    mul: Code::EVEX_Vmulpd_zmm_k1z_zmm_zmmm512b64_er,
    div: Code::EVEX_Vdivpd_zmm_k1z_zmm_zmmm512b64_er,
    min: Code::EVEX_Vminpd_zmm_k1z_zmm_zmmm512b64_sae,
    max: Code::EVEX_Vmaxpd_zmm_k1z_zmm_zmmm512b64_sae,
    xor: Code::EVEX_Vpxorq_zmm_k1z_zmm_zmmm512b64,
    and: Code::EVEX_Vpandq_zmm_k1z_zmm_zmmm512b64,
    sqrt: Code::EVEX_Vsqrtpd_zmm_k1z_zmmm512b64_er,
    round: Code::EVEX_Vrndscalepd_zmm_k1z_zmmm512b64_imm8_sae,
    compare: Code::EVEX_Vcmppd_kr_k1_zmm_zmmm512b64_imm8_sae,
    blend: Code::EVEX_Vblendmpd_zmm_k1z_zmm_zmmm512b64,
    from_words: Code::EVEX_Vcvtdq2pd_zmm_k1z_ymmm256b32_er,
    widened: Register::ZMM0,
    widen_counts: Code::EVEX_Vpmovzxwq_zmm_k1z_xmmm128,
    from_widened: Code::EVEX_Vcvtqq2pd_zmm_k1z_zmmm512b64_er,
    half: Register::YMM0,
    from_sums: Code::EVEX_Vcvtpd2ps_ymm_k1z_zmmm512b64_er,
    join: Code::EVEX_Vinsertf32x8_zmm_k1z_zmm_ymmm256_imm8,
    both: Code::VEX_Kandb_kr_kr_kr,
    either: Code::VEX_Korb_kr_kr_kr,
    not: Code::VEX_Knotb_kr_kr,
    but_not: Code::VEX_Kandnb_kr_kr_kr,
    load_truths: Code::VEX_Kmovb_kr_km8,
    store_truths: Code::VEX_Kmovb_m8_kr,
    take_truths: Code::VEX_Kmovb_r32_kr,
    clears: CLEARS_512,
    spikes: Register::EAX,
    deposit: Code::VEX_Pdep_r32_r32_rm32,
    stored: Register::EAX,
    store_spikes: Code::Mov_rm32_r32,
};

static SINGLE_512: Shape = Shape {
    single: true,
    masks: true,
    lanes: 16,
    bytes: 4,
    first: Register::ZMM0,
    numbers: 29,
    truth: Register::K1,
    spare: Register::K7,
    load: Code::EVEX_Vmovups_zmm_k1z_zmmm512,
    store: Code::EVEX_Vmovups_zmmm512_k1z_zmm,
    spread: Code::EVEX_Vbroadcastss_zmm_k1z_xmmm32,
    add: Code::EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er,
    add_product: Code::EVEX_Vfmadd231ps_zmm_k1z_zmm_zmmm512b32_er,
    sub: Code::EVEX_Vsubps_zmm_k1z_zmm_zmmm512b32_er,
    mul: Code::EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er,
    div: Code::EVEX_Vdivps_zmm_k1z_zmm_zmmm512b32_er,
    min: Code::EVEX_Vminps_zmm_k1z_zmm_zmmm512b32_sae,
    max: Code::EVEX_Vmaxps_zmm_k1z_zmm_zmmm512b32_sae,
    xor: Code::EVEX_Vpxord_zmm_k1z_zmm_zmmm512b32,
    and: Code::EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32,
    sqrt: Code::EVEX_Vsqrtps_zmm_k1z_zmmm512b32_er,
    round: Code::EVEX_Vrndscaleps_zmm_k1z_zmmm512b32_imm8_sae,
    compare: Code::EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae,
    blend: Code::EVEX_Vblendmps_zmm_k1z_zmm_zmmm512b32,
    from_words: Code::EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er,
    widened: Register::ZMM0,
    widen_counts: Code::EVEX_Vpmovzxwd_zmm_k1z_ymmm256,
    from_widened: Code::EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er,
    half: Register::YMM0,
    from_sums: Code::EVEX_Vcvtpd2ps_ymm_k1z_zmmm512b64_er,
    join: Code::EVEX_Vinsertf32x8_zmm_k1z_zmm_ymmm256_imm8,
    both: Code::VEX_Kandw_kr_kr_kr,
    either: Code::VEX_Korw_kr_kr_kr,
    not: Code::VEX_Knotw_kr_kr,
    but_not: Code::VEX_Kandnw_kr_kr_kr,
    load_truths: Code::VEX_Kmovw_kr_km16,
    store_truths: Code::VEX_Kmovw_m16_kr,
    take_truths: Code::VEX_Kmovw_r32_kr,
    clears: CLEARS_512,
    spikes: Register::RAX,
    deposit: Code::VEX_Pdep_r64_r64_rm64,
    stored: Register::RAX,
    store_spikes: Code::Mov_rm64_r64,
};

static DOUBLE_256: Shape = Shape {
    single: false,
    masks: false,
    lanes: 4,
    bytes: 8,
    first: Register::YMM0,
    numbers: 13,
    truth: Register::YMM0,
    spare: Register::YMM13,
    load: Code::VEX_Vmovupd_ymm_ymmm256,
    store: Code::VEX_Vmovupd_ymmm256_ymm,
    spread: Code::VEX_Vbroadcastsd_ymm_m64,
    add: Code::VEX_Vaddpd_ymm_ymm_ymmm256,
    add_product: Code::VEX_Vfmadd231pd_ymm_ymm_ymmm256,
    sub: Code::VEX_Vsubpd_ymm_ymm_ymmm256,
    mul: Code::VEX_Vmulpd_ymm_ymm_ymmm256,
    div: Code::VEX_Vdivpd_ymm_ymm_ymmm256,
    min: Code::VEX_Vminpd_ymm_ymm_ymmm256,
    max: Code::VEX_Vmaxpd_ymm_ymm_ymmm256,
    xor: Code::VEX_Vxorpd_ymm_ymm_ymmm256,
    and: Code::VEX_Vandpd_ymm_ymm_ymmm256,
    sqrt: Code::VEX_Vsqrtpd_ymm_ymmm256,
    round: Code::VEX_Vroundpd_ymm_ymmm256_imm8,
    compare: Code::VEX_Vcmppd_ymm_ymm_ymmm256_imm8,
    blend: Code::VEX_Vblendvpd_ymm_ymm_ymmm256_ymm,
    from_words: Code::VEX_Vcvtdq2pd_ymm_xmmm128,
    widened: Register::XMM0,
    widen_counts: Code::VEX_Vpmovzxwd_xmm_xmmm64,
    from_widened: Code::VEX_Vcvtdq2pd_ymm_xmmm128,
    half: Register::XMM0,
    from_sums: Code::VEX_Vcvtpd2ps_xmm_ymmm256,
    join: Code::VEX_Vinsertf128_ymm_ymm_xmmm128_imm8,
    both: Code::VEX_Vandpd_ymm_ymm_ymmm256,
    either: Code::VEX_Vorpd_ymm_ymm_ymmm256,
    not: Code::VEX_Vpcmpeqd_ymm_ymm_ymmm256,
    but_not: Code::VEX_Vandnpd_ymm_ymm_ymmm256,
    load_truths: Code::VEX_Vmovupd_ymm_ymmm256,
    store_truths: Code::VEX_Vmovupd_ymmm256_ymm,
    take_truths: Code::VEX_Vmovmskpd_r32_ymm,
    clears: CLEARS_256,
    spikes: Register::EAX,
    deposit: Code::VEX_Pdep_r32_r32_rm32,
    stored: Register::AX,
    store_spikes: Code::Mov_rm16_r16,
};

static SINGLE_256: Shape = Shape {
    single: true,
    masks: false,
    lanes: 8,
    bytes: 4,
    first: Register::YMM0,
    numbers: 13,
    truth: Register::YMM0,
    spare: Register::YMM13,
    load: Code::VEX_Vmovups_ymm_ymmm256,
    store: Code::VEX_Vmovups_ymmm256_ymm,
    spread: Code::VEX_Vbroadcastss_ymm_m32,
    add: Code::VEX_Vaddps_ymm_ymm_ymmm256,
    add_product: Code::VEX_Vfmadd231ps_ymm_ymm_ymmm256,
    sub: Code::VEX_Vsubps_ymm_ymm_ymmm256,
    mul: Code::VEX_Vmulps_ymm_ymm_ymmm256,
    div: Code::VEX_Vdivps_ymm_ymm_ymmm256,
    min: Code::VEX_Vminps_ymm_ymm_ymmm256,
    max: Code::VEX_Vmaxps_ymm_ymm_ymmm256,
    xor: Code::VEX_Vxorps_ymm_ymm_ymmm256,
    and: Code::VEX_Vandps_ymm_ymm_ymmm256,
    sqrt: Code::VEX_Vsqrtps_ymm_ymmm256,
    round: Code::VEX_Vroundps_ymm_ymmm256_imm8,
    compare: Code::VEX_Vcmpps_ymm_ymm_ymmm256_imm8,
    blend: Code::VEX_Vblendvps_ymm_ymm_ymmm256_ymm,
    from_words: Code::VEX_Vcvtdq2ps_ymm_ymmm256,
    widened: Register::YMM0,
    widen_counts: Code::VEX_Vpmovzxwd_ymm_xmmm128,
    from_widened: Code::VEX_Vcvtdq2ps_ymm_ymmm256,
    half: Register::XMM0,
    from_sums: Code::VEX_Vcvtpd2ps_xmm_ymmm256,
    join: Code::VEX_Vinsertf128_ymm_ymm_xmmm128_imm8,
    both: Code::VEX_Vandps_ymm_ymm_ymmm256,
    either: Code::VEX_Vorps_ymm_ymm_ymmm256,
    not: Code::VEX_Vpcmpeqd_ymm_ymm_ymmm256,
    but_not: Code::VEX_Vandnps_ymm_ymm_ymmm256,
    load_truths: Code::VEX_Vmovups_ymm_ymmm256,
    store_truths: Code::VEX_Vmovups_ymmm256_ymm,
    take_truths: Code::VEX_Vmovmskps_r32_ymm,
    clears: CLEARS_256,
    spikes: Register::EAX,
    deposit: Code::VEX_Pdep_r32_r32_rm32,
    stored: Register::EAX,
    store_spikes: Code::Mov_rm32_r32,
};

impl Shape {
    /// Of registers of 512 bits (`masks`) or 256.
    pub fn of(masks: bool, single: bool) -> &'static Shape {
        match (masks, single) {
            (true, false) => &DOUBLE_512,
            (true, true) => &SINGLE_512,
            (false, false) => &DOUBLE_256,
            (false, true) => &SINGLE_256,
        }
    }

    pub fn number(&self, k: usize) -> Register {
        self.first + k as u32
    }

    pub fn truth(&self, k: usize) -> Register {
        self.truth + k as u32
    }

    /// For what needs two steps, where it is a number.
    pub fn passing(&self) -> Register {
        self.number(self.numbers)
    }

    pub fn faults(&self) -> Register {
        self.number(self.numbers + 1)
    }

    pub fn zero(&self) -> Register {
        self.number(self.numbers + 2)
    }

    /// Bytes of a register.
    pub fn width(&self) -> u32 {
        self.lanes as u32 * self.bytes
    }

    /// The register of one kind that has the place of another.
    pub fn beside(&self, of: Register, kind: Register) -> Register {
        kind + (of as u32 - self.first as u32)
    }
}
