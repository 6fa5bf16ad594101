//! The operations of [`zkernel_backend::Backend`], by name.

/// The enum, its list and its names from one table.
macro_rules! operations {
    ($($operation:ident $name:literal,)*) => {
        /// An operation of the trait; [`zkernel_backend::Backend::name`] is for reports and not one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation {
            $(#[doc = concat!("[`zkernel_backend::Backend::", $name, "`]")] $operation,)*
        }

        impl Operation {
            /// Every operation.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$operation),*];

            /// The method's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$operation => $name,)* }
            }
        }
    };
}

operations! {
    Upload "upload",
    Zeros "zeros",
    Shape "shape",
    Read "read",
    Gather "gather",
    LoadBases "load_bases",
    Commit "commit",
    CommitDictionary "commit_dictionary",
    Msm "msm",
    Interpolate "interpolate",
    CosetEvaluate "coset_evaluate",
    Prepare "prepare",
    Run "run",
    Multiply "multiply",
    Invert "invert",
    Take "take",
    Dot "dot",
    Combine "combine",
    Accumulate "accumulate",
    AccumulateSparse "accumulate_sparse",
    Contract "contract",
    CrossColumns "cross_columns",
    FoldColumns "fold_columns",
    CrossRows "cross_rows",
    FoldRows "fold_rows",
    Expand "expand",
    FoldBases "fold_bases",
}

#[cfg(test)]
mod tests {
    use super::Operation;

    /// The table is the trait: its methods in the order of the source.
    #[test]
    fn the_table_is_the_trait() {
        let source = include_str!("../../api/src/lib.rs");
        let methods: Vec<&str> = source
            .lines()
            .filter_map(|line| line.strip_prefix("    fn "))
            .filter_map(|rest| rest.split('(').next())
            .filter(|name| *name != "name")
            .collect();
        assert_eq!(methods, Operation::ALL.map(Operation::name));
    }
}
