//! `zkernel`: prove that a committed neural network produced an output.

mod bench;
mod clock;
mod commands;
mod device;
mod error;
mod files;
mod inspect;
mod memory;
mod predict;
mod report;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Instant;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::layer::SubscriberExt;
use zkernel_gadgets::model::{Statement, Visibility};
use zkernel_onnx::Options;

use commands::Wishes;
use memory::Memory;

/// Prove that a given neural network, committed to once, produced a given output, without revealing weights or inputs.
///
/// Quick start: `zkernel prove MODEL.onnx INPUT.json` does everything in one go. For use by others: `commit` once, give
/// the .zkv file away and keep the .zkm file, `prove` for every input, and let anybody `verify`.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON object on one line.
    #[arg(long, global = true)]
    json: bool,
    /// Write a trace of the run to FILE; open it in https://ui.perfetto.dev.
    #[arg(long, global = true, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Use no instructions beyond those that every CPU of this kind has: slower, to compare or to look for a fault.
    #[arg(long, global = true)]
    portable: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Calibrate and quantize MODEL.onnx and commit to it: writes NAME.zkm (secret) and NAME.zkv (public).
    Commit {
        /// The network.
        model: PathBuf,
        /// Samples to calibrate on: JSON {"input_data": [[..]]}, .npy, or array x of an .npz. Without it the ranges are
        /// guessed from made-up inputs (uniform in 0..1 and standard normal): give real samples whenever you have any.
        #[arg(long, value_name = "DATA")]
        calibrate: Option<PathBuf>,
        #[command(flatten)]
        visibility: Visible,
        /// Cut the network at this tensor: writes NAME.1.* and NAME.2.*, two models that are proven apart and share a
        /// commitment to it.
        #[arg(long, value_name = "TENSOR")]
        split: Option<String>,
        /// Prove this many inputs at once, under one proof.
        #[arg(long, value_name = "COUNT", default_value = "1")]
        batch: NonZeroUsize,
        /// The most memory that proving may take, as in 4GiB: layouts that need more are left out, and if none is left the command
        /// fails with the least predicted peak.
        #[arg(long, value_name = "SIZE")]
        memory: Option<Memory>,
        /// NAME of the files; MODEL without its extension if not given.
        #[arg(short = 'o', value_name = "NAME")]
        output_file: Option<PathBuf>,
    },
    /// Prove the output for one input. With a .zkm: writes NAME.zkp. With an .onnx: commit, prove and verify in one go.
    Prove {
        /// NAME.zkm, or MODEL.onnx.
        model: PathBuf,
        /// One sample: JSON {"input_data": [[..]]}, .npy, or array x of an .npz. For a model with a committed input also
        /// the .zko file of another proof: the same values behind the same commitment.
        input_file: PathBuf,
        /// With an .onnx: samples to calibrate on; the input itself if not given.
        #[arg(long, value_name = "DATA")]
        calibrate: Option<PathBuf>,
        #[command(flatten)]
        visibility: Visible,
        /// The most memory that proving may take, as in 4GiB: fails before the start, with the predicted peak, if it needs more.
        #[arg(long, value_name = "SIZE")]
        memory: Option<Memory>,
        /// The proof file.
        #[arg(short = 'o', value_name = "NAME.zkp")]
        output_file: Option<PathBuf>,
    },
    /// Verify proofs, all of them with one multi-scalar multiplication. Exit code 0: valid, 1: rejected, 2: anything else.
    ///
    /// NAME.zkv NAME.zkp: one proof. NAME.zkv A.zkp B.zkp ..: several of one key. FIRST.zkv A.zkp SECOND.zkv B.zkp ..: segments
    /// of one network in order; each must begin with the very commitment that the one before ends in.
    Verify {
        /// Keys (.zkv), each followed by its proofs.
        #[arg(required = true, num_args = 2.., value_name = "KEY.zkv PROOF.zkp..")]
        files: Vec<PathBuf>,
        /// Several keys are separate statements, not segments of one network.
        #[arg(long)]
        apart: bool,
        /// Also check that this .zko file opens a committed input or output of one of the proofs, and print its values.
        #[arg(long, value_name = "FILE.zko")]
        opening: Vec<PathBuf>,
        /// Also compare the input, public or opened, with this file.
        #[arg(long, value_name = "FILE")]
        input: Option<PathBuf>,
        /// Also compare the output, public or opened, with {"output_data": [[..]]} of this file.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Verify proofs as `verify` does, and write what they say, of which model and when, for the files of a third party.
    Certificate {
        /// Keys (.zkv), each followed by its proofs.
        #[arg(required = true, num_args = 2.., value_name = "KEY.zkv PROOF.zkp..")]
        files: Vec<PathBuf>,
        /// Several keys are separate statements, not segments of one network.
        #[arg(long)]
        apart: bool,
        /// NAME of the certificate, NAME.json and NAME.txt; that of the last proof with .certificate if not given.
        #[arg(short = 'o', value_name = "NAME")]
        output_file: Option<PathBuf>,
    },
    /// Run the mock prover on one input: names every constraint that does not hold.
    Check {
        /// NAME.zkm.
        model: PathBuf,
        /// One sample.
        input: PathBuf,
    },
    /// Explain an .onnx, .zkm, .zkv or .zkp file: layers, shapes, cells, lookups, columns, n.
    Inspect {
        /// The file.
        file: PathBuf,
        /// For an .onnx: also calibrate on these samples and report the error of every layer.
        #[arg(long, value_name = "DATA")]
        calibrate: Option<PathBuf>,
        /// With --calibrate: report the accuracy on these other samples instead.
        #[arg(long, value_name = "DATA", requires = "calibrate")]
        test: Option<PathBuf>,
    },
    /// Measure how fast this machine is: sums of points, transforms, or whole proofs with their verification.
    Bench {
        /// What to measure.
        #[arg(value_enum)]
        operation: bench::Operation,
        /// log2 of the numbers of points, elements or rows, each from 7 to 22.
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "10,14",
            value_name = "LOG2,.."
        )]
        sizes: Vec<u32>,
        /// Numbers of threads.
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "1,2",
            value_name = "COUNT,.."
        )]
        threads: Vec<usize>,
    },
}

#[derive(Args)]
struct Visible {
    /// Who learns the input.
    #[arg(long, value_enum, default_value = "private")]
    input: Who,
    /// Who learns the output (private, public, committed), or what is said in its place: `class`, the index of the largest
    /// value; `ge:0.7` (also gt, le, lt), that it reaches a threshold. With several values or outputs add @ELEMENT, @OUTPUT or
    /// @OUTPUT:ELEMENT.
    #[arg(long, default_value = "public", value_name = "WHO|STATEMENT")]
    output: Told,
    /// Who learns the weights.
    #[arg(long, value_enum, default_value = "private")]
    weights: Secrecy,
}

/// What is told of the output.
#[derive(Clone)]
enum Told {
    /// Its values, to them.
    To(Who),
    /// This.
    Statement(Statement),
}

impl FromStr for Told {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(who) = Who::from_str(text, false) {
            return Ok(Self::To(who));
        }
        let statement = text.parse().map(Self::Statement);
        statement.map_err(|e| format!("{e}; or `private`, `public` or `committed`"))
    }
}

/// Who learns the weights; everybody gets a commitment to them.
#[derive(Clone, Copy, ValueEnum)]
enum Secrecy {
    /// Nobody but the prover.
    Private,
    /// Everybody.
    Public,
}

#[derive(Clone, Copy, ValueEnum)]
enum Who {
    /// Nobody but the prover.
    Private,
    /// Everybody.
    Public,
    /// Nobody, but the proof holds a commitment that other proofs can share.
    Committed,
}

impl From<Who> for Visibility {
    fn from(who: Who) -> Self {
        match who {
            Who::Private => Self::Private,
            Who::Public => Self::Public,
            Who::Committed => Self::Committed,
        }
    }
}

impl From<&Visible> for Wishes {
    fn from(visible: &Visible) -> Self {
        let (output, statement) = match &visible.output {
            Told::To(who) => ((*who).into(), None),
            Told::Statement(statement) => (Visibility::Private, Some(statement.clone())),
        };
        let options = Options {
            input: visible.input.into(),
            output,
            weights: match visible.weights {
                Secrecy::Private => Visibility::Private,
                Secrecy::Public => Visibility::Public,
            },
        };
        Self {
            options,
            statement,
            batch: 1,
            split: None,
            memory: None,
        }
    }
}

fn main() -> ExitCode {
    let start = Instant::now();
    let cli = Cli::parse();
    if cli.portable {
        device::use_portable();
    }
    let guard = cli.profile.as_ref().map(|path| {
        let (layer, guard) = tracing_chrome::ChromeLayerBuilder::new().file(path).build();
        let subscriber = tracing_subscriber::registry().with(layer);
        (
            guard,
            tracing_subscriber::util::SubscriberInitExt::try_init(subscriber),
        )
    });
    let result = on_worker(|| execute(cli.command));
    drop(guard);
    match result {
        Ok(report) => {
            report::Report {
                wall_seconds: start.elapsed().as_secs_f64(),
                ..report
            }
            .print(cli.json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            if cli.json {
                println!("{}", serde_json::json!({ "error": error.to_string() }));
            }
            eprintln!("zkernel: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Stack of the pool's threads: as large as a main thread's.
const STACK_BYTES: usize = 8 << 20;

/// Works on a thread of the pool from the start: what is freed before a proof is then at hand for it, allocators having a
/// part for each thread.
fn on_worker<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().stack_size(STACK_BYTES);
    // It exists already if this is not the first call; then it is used as it is.
    let _ = pool.build_global();
    rayon::scope(|_| work())
}

fn execute(command: Command) -> Result<report::Report, error::CliError> {
    match command {
        Command::Commit {
            model,
            calibrate,
            visibility,
            split,
            batch,
            memory,
            output_file,
        } => {
            let wishes = Wishes {
                split,
                batch: batch.get(),
                memory,
                ..(&visibility).into()
            };
            commands::commit(&model, calibrate.as_deref(), &wishes, output_file)
        }
        Command::Prove {
            model,
            input_file,
            calibrate,
            visibility,
            memory,
            output_file,
        } => {
            if model.extension().is_some_and(|e| e == "onnx") {
                let wishes = Wishes {
                    memory,
                    ..(&visibility).into()
                };
                commands::prove_onnx(&model, &input_file, calibrate, &wishes, output_file)
            } else {
                commands::prove_model(&model, &input_file, memory, output_file)
            }
        }
        Command::Verify {
            files,
            apart,
            opening,
            input,
            output,
        } => {
            let comparison = commands::Comparison {
                openings: &opening,
                input: input.as_deref(),
                output: output.as_deref(),
            };
            commands::verify(&files, apart, comparison)
        }
        Command::Certificate {
            files,
            apart,
            output_file,
        } => commands::certificate(&files, apart, output_file),
        Command::Check { model, input } => commands::check(&model, &input),
        Command::Inspect {
            file,
            calibrate,
            test,
        } => inspect::inspect(&file, calibrate.as_deref(), test.as_deref()),
        Command::Bench {
            operation,
            sizes,
            threads,
        } => bench::bench(operation, &sizes, &threads),
    }
}
