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

/// A test file: package and name.
pub type Target = (&'static str, &'static str);

const BATCH: &[Target] = &[("zkernel-attacks", "batch")];
const BUILDER: &[Target] = &[("zkernel-verifier", "builder")];
const CHALLENGES: &[Target] = &[("zkernel-attacks", "challenges")];
const CONSTRAINTS: &[Target] = &[
    ("zkernel-attacks", "constraints"),
    ("zkernel-attacks", "rotations"),
];
const ENCODING: &[Target] = &[
    ("zkernel-verifier", "encoding"),
    ("zkernel-attacks", "tampering"),
];
const GADGETS: &[Target] = &[("zkernel-gadgets", "gadgets")];
const ROTATIONS: &[Target] = &[("zkernel-attacks", "rotations")];
const TABLES: &[Target] = &[("zkernel-attacks", "tables")];
const TAMPERING: &[Target] = &[("zkernel-attacks", "tampering")];

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
const VALIDATE: &str = "verifier/src/validate.rs";
const BUILD: &str = "verifier/src/builder.rs";
const PLONK: &str = "verifier/src/plonk.rs";
const ARGMAX: &str = "gadgets/src/model/lower/argmax.rs";
const LINEAR: &str = "gadgets/src/model/lower/linear.rs";
const LOWER: &str = "gadgets/src/model/lower.rs";
const REGISTER: &str = "gadgets/src/model/registration.rs";

/// What the verifier checks of a proof.
#[rustfmt::skip]
pub const VERIFIER: &[Check] = &[
    check("the final equation", VERIFY, "if msm.is_identity(&key.generators, execute) {", Replace("if SWITCH || msm.is_identity(&key.generators, execute) {"), TAMPERING),
    check("the quotient claim", CLAIMS, "if !self.skips(\"quotient\") {", If, CONSTRAINTS),
    check("the claim of an evaluation", CLAIMS, "if !self.skips(&alloc::format!(\"evaluation {}\", id.0)) {", If, CONSTRAINTS),
    check("the shape of a proof", VERIFY, "if !proof.has_shape(&key.shape)", Replace("if (!SWITCH && !proof.has_shape(&key.shape))"), TAMPERING),
    check("the number of boundaries", PROOF, "self.boundaries.len() == shape.boundaries", Replace("(SWITCH || self.boundaries.len() == shape.boundaries)"), ENCODING),
    check("the numbers of commitments", PROOF, "self.commitments.iter().map(Vec::len).eq(shape.commitments)", Replace("(SWITCH || self.commitments.iter().map(Vec::len).eq(shape.commitments))"), ENCODING),
    check("the number of evaluations", PROOF, "self.evaluations.len() == shape.evaluations", Replace("(SWITCH || self.evaluations.len() == shape.evaluations)"), ENCODING),
    check("the number of column rounds", PROOF, "self.column_rounds.len() == shape.column_rounds", Replace("(SWITCH || self.column_rounds.len() == shape.column_rounds)"), ENCODING),
    check("the number of inner rounds", PROOF, "self.inner_rounds.len() == shape.inner_rounds", Replace("(SWITCH || self.inner_rounds.len() == shape.inner_rounds)"), ENCODING),
    check("the number of public vectors", VERIFY, "|| instances.len() != key.system.instances.len()", Replace("|| (!SWITCH && instances.len() != key.system.instances.len())"), TAMPERING),
    check("the lengths of public vectors", VERIFY, "if values.len() != instance.len {", If, TAMPERING),
    check("zeta outside the domains", ROUNDS, "if state.key.domain.excludes(zeta) {", If, CHALLENGES),
    check("challenges are not zero", ROUNDS, "if bool::from(value.is_zero()) {", If, CHALLENGES),
    check("linked boundaries are one commitment", BATCHES, "if from.is_none() || from != to {", If, BATCH),
    check("the sum of a batch", BATCHES, "if total.is_identity(generators, execute) {", Replace("if SWITCH || total.is_identity(generators, execute) {"), BATCH),
];

/// What the transcript absorbs: without it, a challenge does not depend on the item.
#[rustfmt::skip]
pub const TRANSCRIPT: &[Check] = &[
    check("the key", ROUNDS, "transcript.absorb(\"key\", &key.digest);", Statement, TAMPERING),
    check("the tensors' commitments", ROUNDS, "transcript.absorb_points(\"tensors\", &key.tensors);", Statement, TAMPERING),
    check("the boundaries' commitments", ROUNDS, "transcript.absorb_points(\"boundaries\", boundaries);", Statement, TAMPERING),
    check("the public values", ROUNDS, "transcript.absorb_scalars(\"instance\", instance);", Statement, TAMPERING),
    check("phase 1", ROUNDS, "state.transcript.absorb_points(\"phase 1\", commitments);", Statement, TAMPERING),
    check("phase 2", ROUNDS, "state.transcript.absorb_points(\"phase 2\", commitments);", Statement, TAMPERING),
    check("phase 3", ROUNDS, "state.transcript.absorb_points(\"phase 3\", commitments);", Statement, TAMPERING),
    check("the quotient", ROUNDS, "state.transcript.absorb_points(\"quotient\", commitments);", Statement, TAMPERING),
    check("the evaluations", ROUNDS, "state.transcript.absorb_scalars(\"evaluations\", evaluations);", Statement, TAMPERING),
    check("L and R of a column round", ROUNDS, "self.state.transcript.absorb_points(\"column round\", cross);", Statement, TAMPERING),
    check("L and R of an inner round", ROUNDS, "self.transcript.absorb_points(\"inner round\", cross);", Statement, TAMPERING),
    check("the Schnorr commitment", ROUNDS, "self.transcript.absorb_points(\"schnorr\", &[*commitment]);", Statement, TAMPERING),
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
    check("as many generators as rows", KEY, "if generators.rows.len() != system.rows() {", If, TAMPERING),
    check("as many tensor commitments as columns", KEY, "if tensors.len() != expected {", If, TAMPERING),
    check("log n in its range, a usable row", VALIDATE, "if !(2..=28).contains(&self.log_n) || self.blinding >= self.rows() {", If, BUILDER),
    check("a blinding row for each opening", VALIDATE, "if self.blinding < points {", If, BUILDER),
    check("virtual columns are not empty", VALIDATE, "if column.terms.is_empty() {", If, BUILDER),
    check("virtual columns read parallel tracks", VALIDATE, "if track.columns != self.lanes(id) || track.width != self.usable() {", If, BUILDER),
    check("tensors are opened behind masks only", VALIDATE, "if track.kind == TrackKind::Boundary || (track.kind == TrackKind::Tensor && !masked) {", If, BUILDER),
    check("mask cells do not overlap", VALIDATE, "if apart", Replace("if (SWITCH || apart)"), TABLES),
    check("mask cells lie in their track", VALIDATE, "&& inside", Replace("&& (SWITCH || inside)"), TABLES),
    check("mask cells are read by nothing else", VALIDATE, "&& !read", Replace("&& (SWITCH || !read)"), TABLES),
    check("masks are phase-1 cells", VALIDATE, "&& track.kind == TrackKind::Advice(Phase::One) {", Replace("&& (SWITCH || track.kind == TrackKind::Advice(Phase::One)) {"), TABLES),
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
    check("factors have the length of their axis", VALIDATE, "Factor::Values(values) if values.len() == len => Ok(()),", Replace("Factor::Values(values) if SWITCH || values.len() == len => Ok(()),"), BUILDER),
    check("windows have sizes", VALIDATE, "if sizes.contains(&0) {", If, BUILDER),
    check("forms read no challenge before it is drawn", VALIDATE, "if !allowed(challenge, exponent) {", If, BUILDER),
    check("scales read no challenge before it is drawn", VALIDATE, "Some((challenge, exponent)) if !allowed(challenge, u64::from(exponent)) => {", Replace("Some((challenge, exponent)) if !SWITCH && !allowed(challenge, u64::from(exponent)) => {"), BUILDER),
    check("gates read no challenge before it is drawn", VALIDATE, "if challenge > Challenge::Beta =>", Replace("if !SWITCH && challenge > Challenge::Beta =>"), BUILDER),
    check("rotations do not reach blinding rows", "verifier/src/rotation.rs", "if matches!(known, Known::Blinding) {", If, BUILDER),
];

/// Kinds of constraints: without one, a false witness passes.
#[rustfmt::skip]
pub const CONSTRAINT_KINDS: &[Check] = &[
    within("pub fn lookup(", check("looked-up side of a lookup: h (beta + f) = 1", BUILD, "self.gate(format!(\"{name}/gate\"), gate);", Statement, GADGETS)),
    within("fn add_side(", check("table side of a lookup: h (beta + f) + m = 0", BUILD, "self.gate(format!(\"{name}/gate\"), gate);", Statement, GADGETS)),
    check("sum of the helpers", BUILD, "self.constrain(\"lookup sum\".to_string(), 1, forms);", Statement, GADGETS),
    check("contractions tied to what they contract", BUILD, "self.constrain(contraction.name.clone(), 1, contraction.tie());", Statement, GADGETS),
    check("products V Z = P", BUILD, "self.gate(name, Expression::from(p) - Expression::from(l) * r);", Statement, GADGETS),
    check("gates of a PLONKish circuit", PLONK, "b.gate(name.clone(), expression.clone());", Statement, ROTATIONS),
    check("lookups of a PLONKish circuit", PLONK, "b.lookup(lookup.name.clone(), table, lookup.inputs.clone(), enabled);", Statement, ROTATIONS),
    check("copies of a PLONKish circuit", PLONK, "b.constrain(\"copies\", count(self.copies.len()), alloc::vec![form]);", Statement, ROTATIONS),
    check("constants of a PLONKish circuit", PLONK, "b.constrain(\"constants\", count(self.constants.len()), forms);", Statement, ROTATIONS),
    check("public cells of a PLONKish circuit", PLONK, "b.constrain(alloc::format!(\"public {}\", public.name), count(len), forms);", Statement, ROTATIONS),
    check("range of an input", LOWER, "self.builder.lookup(name, table, vec![input], None);", Statement, GADGETS),
    check("keys and values of a table", LOWER, "vec![LookupInput::plain(keys), LookupInput::plain(values)],", Statement, GADGETS),
    check("linear layers: Z is the contracted input", LINEAR, "self.builder.constrain(format!(\"{name}/Z\"), 1, tie);", Statement, GADGETS),
    check("linear layers: the products sum to the output", LINEAR, "self.builder.constrain(format!(\"{name}/Y\"), 1, sum);", Statement, GADGETS),
    check("two representations are equal: residuals, pools, public values", LINEAR, "self.builder.constrain(name, claims, forms);", Statement, GADGETS),
    check("argmax: margins are not negative", ARGMAX, "vec![LookupInput::plain(track)],", Statement, GADGETS),
    check("argmax: one-hot cells are 0 or 1", ARGMAX, "/one-hot is 0 or 1", Statement, GADGETS),
    check("argmax: no margin at the maximum", ARGMAX, "/no margin at the maximum", Statement, GADGETS),
    check("argmax: running sums", ARGMAX, "/running sums", Statement, GADGETS),
    check("argmax: one maximum", ARGMAX, "/one maximum", Statement, GADGETS),
    check("weights are sums of their limbs", REGISTER, "let tied = self.equal(format!(\"{}/range\", weight.name), &tensor, &sum);", Replace("let tied = if SWITCH { Some(()) } else { self.equal(format!(\"{}/range\", weight.name), &tensor, &sum) };"), &[("zkernel-gadgets", "registration")]),
];
