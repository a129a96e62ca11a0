//! What the instructions of each precision are called.

use iced_x86::{Code, Register};

/// Lanes of a register of 512 bits, and what works on them.
pub struct Shape {
    pub single: bool,
    pub lanes: i32,
    /// Of a lane.
    pub bytes: u32,
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
    /// Counts of 16 bits to integers as wide as a lane, and these to numbers.
    pub widen_counts: Code,
    pub from_widened: Code,
    pub both: Code,
    pub either: Code,
    pub not: Code,
    pub but_not: Code,
    pub load_truths: Code,
    pub store_truths: Code,
    pub take_truths: Code,
    /// Where the bits of spikes are spread over bytes, how, and how they are stored.
    pub spikes: Register,
    pub deposit: Code,
    pub store_spikes: Code,
}

static DOUBLE: Shape = Shape {
    single: false,
    lanes: 8,
    bytes: 8,
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
    widen_counts: Code::EVEX_Vpmovzxwq_zmm_k1z_xmmm128,
    from_widened: Code::EVEX_Vcvtqq2pd_zmm_k1z_zmmm512b64_er,
    both: Code::VEX_Kandb_kr_kr_kr,
    either: Code::VEX_Korb_kr_kr_kr,
    not: Code::VEX_Knotb_kr_kr,
    but_not: Code::VEX_Kandnb_kr_kr_kr,
    load_truths: Code::VEX_Kmovb_kr_km8,
    store_truths: Code::VEX_Kmovb_m8_kr,
    take_truths: Code::VEX_Kmovb_r32_kr,
    spikes: Register::EAX,
    deposit: Code::VEX_Pdep_r32_r32_rm32,
    store_spikes: Code::Mov_rm32_r32,
};

static SINGLE: Shape = Shape {
    single: true,
    lanes: 16,
    bytes: 4,
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
    widen_counts: Code::EVEX_Vpmovzxwd_zmm_k1z_ymmm256,
    from_widened: Code::EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er,
    both: Code::VEX_Kandw_kr_kr_kr,
    either: Code::VEX_Korw_kr_kr_kr,
    not: Code::VEX_Knotw_kr_kr,
    but_not: Code::VEX_Kandnw_kr_kr_kr,
    load_truths: Code::VEX_Kmovw_kr_km16,
    store_truths: Code::VEX_Kmovw_m16_kr,
    take_truths: Code::VEX_Kmovw_r32_kr,
    spikes: Register::RAX,
    deposit: Code::VEX_Pdep_r64_r64_rm64,
    store_spikes: Code::Mov_rm64_r64,
};

impl Shape {
    pub fn of(single: bool) -> &'static Shape {
        if single { &SINGLE } else { &DOUBLE }
    }
}
