//! What core asks of the machine that runs it as WebAssembly.
//!
//! A dependency that quietly wants a clock or a random source from C links without complaint, as an import
//! from `env` that no JavaScript host will ever provide; it fails when it is loaded. So it is looked for here.

use std::fs;

use serde_json::Value;

use crate::{
    command::{cargo, output},
    report::{Outcome, Stop},
    tools,
};

/// The module that unresolved C symbols are imported from.
const UNRESOLVED: &str = "env";

/// Builds core's tests, which hold all of core, and fails when one of them imports from `env`.
pub(crate) fn check() -> Outcome {
    tools::wasm_target()?;
    let mut build = cargo(
        "test -p tollgate-core --features yaml,verify,expressions --no-run --message-format=json --target",
    );
    let messages = output(build.arg(tools::WASM))?;
    let executables = executables(&messages);
    if executables.is_empty() {
        return Err(Stop::Failed("cargo names no executable to look into".into()));
    }
    for path in executables {
        let binary = fs::read(&path).map_err(|error| Stop::Failed(format!("{path}: {error}")))?;
        let imports = imports(&binary).map_err(|error| Stop::Failed(format!("{path}: {error}")))?;
        let unresolved: Vec<_> =
            imports.iter().filter(|import| import.module == UNRESOLVED).map(|import| import.name).collect();
        if !unresolved.is_empty() {
            return Err(Stop::Failed(format!("{path} imports from `env`: {}", unresolved.join(", "))));
        }
    }
    Ok(())
}

/// The paths of what cargo built, from its messages: one JSON document a line.
fn executables(messages: &str) -> Vec<String> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| Some(message.get("executable")?.as_str()?.to_owned()))
        .collect()
}

/// Something a module wants from its host.
#[derive(Debug, PartialEq, Eq)]
struct Import<'a> {
    module: &'a str,
    name: &'a str,
}

/// Why a binary can't be read.
type Malformed = &'static str;

/// The imports of a WebAssembly module, in their order (WebAssembly 3.0, §5.5.5).
fn imports(binary: &[u8]) -> Result<Vec<Import<'_>>, Malformed> {
    const IMPORTS: u8 = 2;

    let sections = binary.strip_prefix(b"\0asm\x01\0\0\0").ok_or("not a WebAssembly module")?;
    let mut reader = Reader(sections);
    while !reader.0.is_empty() {
        let id = reader.byte()?;
        let length = reader.number()?;
        let section = reader.take(length)?;
        if id == IMPORTS {
            return Reader(section).imports();
        }
    }
    Ok(Vec::new())
}

/// Reads from the front of what is left.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn imports(&mut self) -> Result<Vec<Import<'a>>, Malformed> {
        (0..self.number()?)
            .map(|_| {
                let import = Import { module: self.name()?, name: self.name()? };
                self.skip_external_type()?;
                Ok(import)
            })
            .collect()
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.0.split_first().ok_or("the module ends too early")?;
        self.0 = rest;
        Ok(byte)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| "a length is too large")?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or("the module ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    /// An unsigned number in LEB128: seven bits a byte, the lowest first, the eighth says "more".
    fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number is too large")
    }

    fn name(&mut self) -> Result<&'a str, Malformed> {
        let length = self.number()?;
        str::from_utf8(self.take(length)?).map_err(|_| "a name is not UTF-8")
    }

    /// What is imported is of no interest, but how long it is decides where the next import begins.
    fn skip_external_type(&mut self) -> Result<(), Malformed> {
        match self.byte()? {
            // A function: the index of its type.
            0 => self.number().map(drop),
            // A table: type and limits.
            1 => {
                self.skip_value_type()?;
                self.skip_limits()
            }
            // A memory: limits.
            2 => self.skip_limits(),
            // A global: type and whether it can change.
            3 => {
                self.skip_value_type()?;
                self.byte().map(drop)
            }
            // An exception's tag: a byte without meaning, then the index of its type.
            4 => {
                self.byte()?;
                self.number().map(drop)
            }
            _ => Err("an import is of an unknown kind"),
        }
    }

    /// One byte, or for the two forms of typed references a byte and a number. The number is signed, which
    /// makes no difference to its length.
    fn skip_value_type(&mut self) -> Result<(), Malformed> {
        match self.byte()? {
            0x63 | 0x64 => self.number().map(drop),
            _ => Ok(()),
        }
    }

    /// A minimum and, where the lowest flag says so, a maximum.
    fn skip_limits(&mut self) -> Result<(), Malformed> {
        let flags = self.byte()?;
        self.number()?;
        if flags & 1 == 1 {
            self.number()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"\0asm\x01\0\0\0";

    /// A module with a section of types that is to be passed over, and one of imports.
    fn module(imports: &[u8]) -> Vec<u8> {
        let length = u8::try_from(imports.len()).unwrap();
        assert!(length < 0x80, "one byte of LEB128");
        [HEADER, b"\x01\x04\x01\x60\0\0", &[2, length], imports].concat()
    }

    #[test]
    fn imports_of_every_kind_are_read_to_the_last() {
        let binary = module(
            b"\x06\
              \x03env\x05clock\x00\x81\x01\
              \x01t\x01a\x01\x70\x01\x01\x80\x02\
              \x01t\x01b\x01\x63\x70\x00\x01\
              \x01m\x01c\x02\x00\x11\
              \x01g\x01d\x03\x7f\x01\
              \x01x\x01e\x04\x00\x07",
        );
        let read: Vec<_> = imports(&binary)
            .unwrap()
            .iter()
            .map(|import| format!("{}.{}", import.module, import.name))
            .collect();
        assert_eq!(read, ["env.clock", "t.a", "t.b", "m.c", "g.d", "x.e"]);
    }

    #[test]
    fn a_module_without_imports_has_none() {
        assert_eq!(imports(HEADER), Ok(Vec::new()));
        assert_eq!(imports(&module(b"\0")), Ok(Vec::new()));
    }

    #[test]
    fn what_is_cut_off_or_no_module_is_an_error() {
        let whole = module(b"\x01\x03env\x05clock\x00\x00");
        assert!(imports(&whole).is_ok());
        for end in (0..whole.len()).filter(|&end| end != HEADER.len() && end != HEADER.len() + 6) {
            assert!(imports(&whole[..end]).is_err(), "{end}");
        }
        assert_eq!(imports(b"\x7fELF"), Err("not a WebAssembly module"));
    }

    #[test]
    fn numbers_are_read_as_leb128() {
        assert_eq!(Reader(&[0xe5, 0x8e, 0x26]).number(), Ok(624_485));
        assert_eq!(Reader(&[0x80, 0x00]).number(), Ok(0));
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Reader(&most).number(), Ok(u64::MAX));
        assert!(Reader(&[0xff; 10]).number().is_err());
        assert!(Reader(&[0x80; 11]).number().is_err());
    }

    #[test]
    fn executables_are_taken_from_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","executable":"a.wasm"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\n",
        );
        assert_eq!(executables(messages), ["a.wasm"]);
    }
}
