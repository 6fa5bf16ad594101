//! Every check of the verifier and every kind of constraint, and how to take it out.

use super::cut::Cut::{self, If, Replace, Statement};

/// One check.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name, unique.
    pub name: &'static str,
    /// The source file.
    pub file: &'static str,
    /// Text that what is found follows, where it is not unique.
    pub scope: Option<&'static str>,
    /// Text of the check.
    pub find: &'static str,
    /// How it is taken out.
    pub cut: Cut,
    /// The tests to run without it.
    pub tests: &'static [Target],
}

/// Tests: package, file, and what their names contain.
pub type Target = (&'static str, &'static str, &'static str);

const BATCH: &[Target] = &[("zkernel-attacks", "batch", "")];
const BUILDER: &[Target] = &[
    ("zkernel-verifier", "builder", ""),
    ("zkernel-verifier", "validate", ""),
];
const CHALLENGES: &[Target] = &[("zkernel-attacks", "challenges", "")];
const CONSTRAINTS: &[Target] = &[
    ("zkernel-attacks", "constraints", ""),
    ("zkernel-attacks", "rotations", ""),
    ("zkernel-attacks", "grouped", ""),
];
const ELEMENTS: &[Target] = &[("zkernel-attacks", "tampering", "every_element")];
const ENCODING: &[Target] = &[("zkernel-verifier", "encoding", "")];
const GROUPING: &[Target] = &[("zkernel-verifier", "grouping", "")];
const LENGTHS: &[Target] = &[("zkernel-attacks", "tampering", "lengths")];
const ROTATIONS: &[Target] = &[("zkernel-attacks", "rotations", "")];
const STATEMENT: &[Target] = &[("zkernel-attacks", "tampering", "statement")];
const TABLES: &[Target] = &[("zkernel-attacks", "tables", "")];

const fn check(
    name: &'static str,
    file: &'static str,
    find: &'static str,
    cut: Cut,
    tests: &'static [Target],
) -> Check {
    Check {
        name,
        file,
        scope: None,
        find,
        cut,
        tests,
    }
}

const fn within(scope: &'static str, check: Check) -> Check {
    Check {
        scope: Some(scope),
        ..check
    }
}

const VERIFY: &str = "verifier/src/verify.rs";
const PROOF: &str = "verifier/src/proof.rs";
const CLAIMS: &str = "verifier/src/claims.rs";
const ROUNDS: &str = "verifier/src/rounds.rs";
const BATCHES: &str = "verifier/src/batch.rs";
const BYTES: &str = "verifier/src/encoding.rs";
const KEY: &str = "verifier/src/key.rs";
const VALIDATE: &str = "verifier/src/validate/mod.rs";
const READS: &str = "verifier/src/validate/challenges.rs";
const BUILD: &str = "verifier/src/builder/mod.rs";
const LOOKUPS: &str = "verifier/src/builder/lookups.rs";
const PLONK: &str = "verifier/src/plonk.rs";

/// What the verifier checks of a proof.
#[rustfmt::skip]
pub const VERIFIER: &[Check] = &[
    check("the final equation", VERIFY, "if msm.is_identity(&key.generators, execute) {", Replace("if SWITCH || msm.is_identity(&key.generators, execute) {"), STATEMENT),
    check("the quotient claim", CLAIMS, "if !self.skips(\"quotient\") {", If, CONSTRAINTS),
    check("the claim of an evaluation", CLAIMS, "if !self.skips(&alloc::format!(\"evaluation {}\", id.0)) {", If, CONSTRAINTS),
    check("the shape of a proof", VERIFY, "if !proof.has_shape(&key.shape)", Replace("if (!SWITCH && !proof.has_shape(&key.shape))"), LENGTHS),
    check("the number of boundaries", PROOF, "self.boundaries.len() == shape.boundaries", Replace("(SWITCH || self.boundaries.len() == shape.boundaries)"), ENCODING),
    check("the numbers of commitments", PROOF, "self.commitments.iter().map(Vec::len).eq(shape.commitments)", Replace("(SWITCH || self.commitments.iter().map(Vec::len).eq(shape.commitments))"), ENCODING),
    check("the number of evaluations", PROOF, "self.evaluations.len() == shape.evaluations", Replace("(SWITCH || self.evaluations.len() == shape.evaluations)"), ENCODING),
    check("the number of column rounds", PROOF, "self.column_rounds.len() == shape.column_rounds", Replace("(SWITCH || self.column_rounds.len() == shape.column_rounds)"), ENCODING),
    check("the number of inner rounds", PROOF, "self.inner_rounds.len() == shape.inner_rounds", Replace("(SWITCH || self.inner_rounds.len() == shape.inner_rounds)"), ENCODING),
    check("the number of public vectors", VERIFY, "|| instances.len() != key.system.instances.len()", Replace("|| (!SWITCH && instances.len() != key.system.instances.len())"), STATEMENT),
    check("the lengths of public vectors", VERIFY, "if values.len() != instance.len {", If, STATEMENT),
    check("zeta outside the domains", ROUNDS, "if state.key.domain.excludes(zeta) {", If, CHALLENGES),
    check("challenges are not zero", ROUNDS, "if bool::from(value.is_zero()) {", If, CHALLENGES),
    check("linked boundaries are one commitment", BATCHES, "if from.is_none() || from != to {", If, BATCH),
    check("the sum of a batch", BATCHES, "if total.is_identity(generators, execute) {", Replace("if SWITCH || total.is_identity(generators, execute) {"), BATCH),
];

/// What the transcript absorbs: without it, a challenge does not depend on the item.
#[rustfmt::skip]
pub const TRANSCRIPT: &[Check] = &[
    check("the key", ROUNDS, "transcript.absorb(\"key\", &key.digest);", Statement, STATEMENT),
    check("the tensors' commitments", ROUNDS, "transcript.absorb_points(\"tensors\", &key.tensors);", Statement, STATEMENT),
    check("the boundaries' commitments", ROUNDS, "transcript.absorb_points(\"boundaries\", boundaries);", Statement, STATEMENT),
    check("the public values", ROUNDS, "transcript.absorb_scalars(\"instance\", instance);", Statement, STATEMENT),
    check("phase 1", ROUNDS, "state.transcript.absorb_points(\"phase 1\", commitments);", Statement, ELEMENTS),
    check("phase 2", ROUNDS, "state.transcript.absorb_points(\"phase 2\", commitments);", Statement, ELEMENTS),
    check("phase 3", ROUNDS, "state.transcript.absorb_points(\"phase 3\", commitments);", Statement, ELEMENTS),
    check("the quotient", ROUNDS, "state.transcript.absorb_points(\"quotient\", commitments);", Statement, ELEMENTS),
    check("the evaluations", ROUNDS, "state.transcript.absorb_scalars(\"evaluations\", evaluations);", Statement, ELEMENTS),
    check("L and R of a column round", ROUNDS, "self.state.transcript.absorb_points(\"column round\", cross);", Statement, ELEMENTS),
    check("L and R of an inner round", ROUNDS, "self.transcript.absorb_points(\"inner round\", cross);", Statement, ELEMENTS),
    check("the Schnorr commitment", ROUNDS, "self.transcript.absorb_points(\"schnorr\", &[*commitment]);", Statement, ELEMENTS),
    check("the proofs of a batch", BATCHES, "transcript.absorb(\"batch proof\", &claim.proof.encode());", Statement, BATCH),
];

/// What decoders refuse.
#[rustfmt::skip]
pub const DECODERS: &[Check] = &[
    check("scalars are below the modulus", BYTES, "Option::from(F::from_repr(self.array()?)).ok_or(DecodeError::Scalar)", Replace("let bytes = self.array()?; let value = Option::from(F::from_repr(bytes)); if SWITCH { return Ok(value.unwrap_or(F::ZERO)); } value.ok_or(DecodeError::Scalar)"), ENCODING),
    check("points are on the curve", BYTES, ".ok_or(DecodeError::Point)", Replace(".or_else(|| SWITCH.then(C::identity)).ok_or(DecodeError::Point)"), ENCODING),
    within("pub const fn finish", check("nothing follows a proof", BYTES, "pub const fn finish(self) -> Result<(), DecodeError> {", Replace("pub fn finish(self) -> Result<(), DecodeError> { if SWITCH { return Ok(()); }"), ENCODING)),
    check("lists are no longer than the input", BYTES, "Some(bytes) if bytes <= self.remaining() => Ok(len),", Replace("Some(bytes) if SWITCH || bytes <= self.remaining() => Ok(len),"), ENCODING),
];

/// What makes a constraint system well-formed; checked when a key is made, by prover and verifier.
#[rustfmt::skip]
pub const SYSTEM: &[Check] = &[
    check("as many generators as rows", KEY, "if generators.rows.len() != system.rows() {", If, LENGTHS),
    check("as many tensor commitments as columns", KEY, "if tensors.len() != expected {", If, LENGTHS),
    check("log n in its range, a usable row", VALIDATE, "if !(2..=28).contains(&self.log_n) || self.blinding >= self.rows() {", If, BUILDER),
    check("a blinding row for each opening", VALIDATE, "if self.blinding < points {", If, BUILDER),
    check("virtual columns are not empty", VALIDATE, "if column.terms.is_empty()", Replace("if (!SWITCH && column.terms.is_empty())"), BUILDER),
    check("virtual columns read parallel tracks", VALIDATE, "if track.columns != columns || track.width != self.usable() {", If, BUILDER),
    check("virtual columns have lanes", VALIDATE, "|| column.lanes.is_some_and(|lanes| lanes.count == 0)", Replace("|| (!SWITCH && column.lanes.is_some_and(|lanes| lanes.count == 0))"), GROUPING),
    check("virtual columns read lanes that there are", VALIDATE, "if end > columns {", If, GROUPING),
    check("tensors are opened behind masks only", VALIDATE, "if track.kind == TrackKind::Boundary || (track.kind == TrackKind::Tensor && !masked) {", If, BUILDER),
    check("mask cells do not overlap", VALIDATE, "if apart", Replace("if (SWITCH || apart)"), TABLES),
    check("mask cells lie in their track", VALIDATE, "&& inside", Replace("&& (SWITCH || inside)"), TABLES),
    check("mask cells are read by nothing else", VALIDATE, "&& !read", Replace("&& (SWITCH || !read)"), BUILDER),
    check("masks are phase-1 cells", VALIDATE, "&& track.kind == TrackKind::Advice(Phase::One) {", Replace("&& (SWITCH || track.kind == TrackKind::Advice(Phase::One)) {"), BUILDER),
    check("tags of table sides are fixed", VALIDATE, "if kind(side.tag) != Some(TrackKind::Fixed)", Replace("if (!SWITCH && kind(side.tag) != Some(TrackKind::Fixed))"), BUILDER),
    check("multiplicities are phase-1 cells", VALIDATE, "|| !early", Replace("|| (!SWITCH && !early)"), BUILDER),
    check("table entries are committed before beta", VALIDATE, "|| side.entries.iter().any(late)", Replace("|| (!SWITCH && side.entries.iter().any(late))"), BUILDER),
    check("tags are distinct and not zero", VALIDATE, "if tags.len() != self.tables.len() || tags.first() == Some(&0) {", If, BUILDER),
    check("gates have lanes", VALIDATE, "if lanes == 0 {", If, BUILDER),
    check("gates read columns that exist", VALIDATE, "if self.virtual_column(id).is_none() {", If, BUILDER),
    check("gates read parallel columns", VALIDATE, "else if self.lanes(id) != lanes {", Replace("else if !SWITCH && self.lanes(id) != lanes {"), BUILDER),
    check("a lookup has as many inputs as its table columns", VALIDATE, "if lookup.inputs.len() != table.arity.saturating_add(table.secret.len())", Replace("if (!SWITCH && lookup.inputs.len() != table.arity.saturating_add(table.secret.len()))"), BUILDER),
    check("tables have columns and rows", VALIDATE, "if table.rows.is_empty() || table.tag == 0 {", If, BUILDER),
    check("lookups read what is committed before beta", VALIDATE, "if kind == TrackKind::Advice(Phase::Three) {", If, BUILDER),
    check("lookups are not rotated", VALIDATE, "if rotation(lookup.folded) != 0 {", If, BUILDER),
    check("helpers are parallel to what is looked up", VALIDATE, "if helper.columns != self.lanes(lookup.folded)", If, BUILDER),
    check("products multiply parallel phase-2 tracks", VALIDATE, "if same && shape(*target).map(|(kind, ..)| kind) == two {", Replace("if SWITCH || same && shape(*target).map(|(kind, ..)| kind) == two {"), BUILDER),
    check("contractions fill their target", VALIDATE, "if cells != Some(contraction.target.len)", Replace("if (!SWITCH && cells != Some(contraction.target.len))"), BUILDER),
    check("contractions read what is committed before sigma", VALIDATE, "if !matches!(\n                track.kind,", If, BUILDER),
    check("contractions give phase-2 cells", VALIDATE, "if target.kind != TrackKind::Advice(Phase::Two) {", If, BUILDER),
    check("constraints are not empty", VALIDATE, "if constraint.claims == 0 || constraint.forms.is_empty() {", If, BUILDER),
    check("sparse forms number claims that exist", VALIDATE, "if entry.claim >= claims {", If, BUILDER),
    check("forms do not leave their track", VALIDATE, "if position < len {", Replace("if SWITCH || position < len {"), BUILDER),
    check("factors have the length of their axis", READS, "Factor::Values(values) if values.len() == len => Ok(()),", Replace("Factor::Values(values) if SWITCH || values.len() == len => Ok(()),"), BUILDER),
    check("windows have sizes", READS, "if sizes.contains(&0) {", If, BUILDER),
    check("forms read no challenge before it is drawn", READS, "if !allowed(challenge, exponent) {", If, BUILDER),
    check("scales read no challenge before it is drawn", VALIDATE, "Some((challenge, exponent)) if !allowed(challenge, u64::from(exponent)) => {", Replace("Some((challenge, exponent)) if !SWITCH && !allowed(challenge, u64::from(exponent)) => {"), BUILDER),
    check("gates read no challenge before it is drawn", READS, "if challenge > Challenge::Beta =>", Replace("if !SWITCH && challenge > Challenge::Beta =>"), BUILDER),
    check("rotations do not reach blinding rows", "verifier/src/rotation.rs", "if matches!(known, Known::Blinding) {", If, BUILDER),
];

/// Kinds of constraints: without one, a false witness passes.
#[rustfmt::skip]
pub const CONSTRAINT_KINDS: &[Check] = &[
    within("fn add_group(", check("looked-up side of lookups: h prod (beta + f) = sum q prod (beta + f)", LOOKUPS, "self.gate(format!(\"{name}/gate\"), gate);", Statement, CONSTRAINTS)),
    within("fn add_side(", check("table side of a lookup: h (beta + f) + m = 0", LOOKUPS, "self.gate(format!(\"{name}/gate\"), gate);", Statement, CONSTRAINTS)),
    check("sum of the helpers", LOOKUPS, "self.constrain(\"lookup sum\".to_string(), 1, forms);", Statement, CONSTRAINTS),
    check("contractions tied to what they contract", BUILD, "self.constrain(contraction.name.clone(), 1, contraction.tie());", Statement, CONSTRAINTS),
    check("products V Z = P", BUILD, "self.gate(name, Expression::from(p) - Expression::from(l) * r);", Statement, CONSTRAINTS),
    check("gates of a PLONKish circuit", PLONK, "b.gate(name.clone(), expression.clone());", Statement, ROTATIONS),
    check("lookups of a PLONKish circuit", PLONK, "b.lookup(lookup.name.clone(), table, lookup.inputs.clone(), enabled);", Statement, ROTATIONS),
    check("copies of a PLONKish circuit", PLONK, "b.constrain(\"copies\", count(self.copies.len()), alloc::vec![form]);", Statement, ROTATIONS),
    check("constants of a PLONKish circuit", PLONK, "b.constrain(\"constants\", count(self.constants.len()), forms);", Statement, ROTATIONS),
    check("public cells of a PLONKish circuit", PLONK, "b.constrain(alloc::format!(\"public {}\", public.name), count(len), forms);", Statement, ROTATIONS),
];
