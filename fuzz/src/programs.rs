//! Small programs about what wasmi 2.0.0 gets wrong, so that hostel rewrites or refuses it: stores
//! with wide offsets, start functions, choices by a comparison with zero.

use arbitrary::Arbitrary;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection,
    GlobalSection, GlobalType, Instruction as Do, MemArg, MemorySection, MemoryType, Module,
    StartSection, TypeSection, ValType,
};

/// A module with a memory of three pages, a start function perhaps, and `run`, which takes an
/// i32 and an i64 and answers an i64.
#[derive(Arbitrary, Debug)]
pub struct Program {
    start: Option<Vec<Statement>>,
    run: Vec<Statement>,
    answer: Wide,
}

#[derive(Arbitrary, Debug)]
enum Statement {
    Store(Kind, Offset, Word, Word),
    StoreWide(Kind, Offset, Word, Wide),
    /// Address and value are the same local.
    StoreItself(Kind, Offset, u8),
    Set(u8, Word),
    SetWide(u8, Wide),
    SetGlobal(Word),
    Block(Vec<Statement>),
    Loop(Vec<Statement>),
    If(Word, Vec<Statement>, Vec<Statement>),
    LeaveIf(Word, u8),
    Leave(u8),
    Call(Word, Wide),
    Unreachable,
}

#[derive(Arbitrary, Debug)]
enum Word {
    Small(u8),
    Number(i32),
    Local(u8),
    Tee(u8, Box<Word>),
    Sum(Box<Word>, Box<Word>),
    Load(Offset, Box<Word>),
    IsZero(Box<Word>),
    Differ(Box<Word>, Box<Word>),
    Either(Box<Word>, Box<Word>, Box<Word>),
    Wrap(Box<Wide>),
    Within(Box<Word>),
    Global,
}

#[derive(Arbitrary, Debug)]
enum Wide {
    Number(i64),
    Local(u8),
    Tee(u8, Box<Wide>),
    Sum(Box<Wide>, Box<Wide>),
    Extend(Box<Word>),
    Load(Offset, Box<Word>),
    Run(Box<Word>, Box<Wide>),
}

/// How many bytes a store writes.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    All,
    One,
    Two,
    Four,
    Float,
}

/// Around where wide offsets begin, and where the memory ends.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Offset {
    Near(u8),
    BelowWide(u8),
    Wide(u16),
    AtEnd(u8),
    Any(u32),
}

/// The functions' indices.
const RUN: u32 = 0;
const START: u32 = 1;

/// The i32 locals, the first of which is `run`'s parameter, and the i64 ones.
const WORDS: [u32; 3] = [0, 2, 3];
const WIDES: [u32; 2] = [1, 4];

impl Program {
    /// The module's bytes.
    #[must_use]
    pub fn module(&self) -> Vec<u8> {
        let mut types = TypeSection::new();
        types
            .ty()
            .function([ValType::I32, ValType::I64], [ValType::I64]);
        types.ty().function([], []);
        let mut functions = FunctionSection::new();
        functions.function(0).function(1);
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: 3,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut globals = GlobalSection::new();
        let global = GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        };
        globals.global(global, &ConstExpr::i32_const(5));
        let mut exports = ExportSection::new();
        exports.export("run", ExportKind::Func, RUN);

        let mut code = CodeSection::new();
        code.function(&body(
            [(2, ValType::I32), (1, ValType::I64)],
            &self.run,
            Some(&self.answer),
        ));
        // As `run`, with locals in place of its parameters.
        let locals = [
            (1, ValType::I32),
            (1, ValType::I64),
            (2, ValType::I32),
            (1, ValType::I64),
        ];
        code.function(&body(
            locals,
            self.start.as_deref().unwrap_or_default(),
            None,
        ));

        let mut module = Module::new();
        module
            .section(&types)
            .section(&functions)
            .section(&memories)
            .section(&globals)
            .section(&exports);
        if self.start.is_some() {
            module.section(&StartSection {
                function_index: START,
            });
        }
        module.section(&code);
        module.finish()
    }
}

fn body<const N: usize>(
    locals: [(u32, ValType); N],
    statements: &[Statement],
    answer: Option<&Wide>,
) -> Function {
    let mut writer = Writer {
        function: Function::new(locals),
        depth: 0,
    };
    // A branch may leave the whole, without the answer.
    writer.within(Do::Block(BlockType::Empty), statements);
    if let Some(answer) = answer {
        writer.wide(answer);
    }
    writer.function.instruction(&Do::End);
    writer.function
}

/// Writes a function.
struct Writer {
    function: Function,
    depth: u32,
}

impl Writer {
    fn emit(&mut self, instruction: &Do<'_>) {
        self.function.instruction(instruction);
    }

    fn within(&mut self, opening: Do<'_>, statements: &[Statement]) {
        self.emit(&opening);
        self.depth += 1;
        self.all(statements);
        self.depth -= 1;
        self.emit(&Do::End);
    }

    fn all(&mut self, statements: &[Statement]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Store(kind, offset, address, value) => {
                self.word(address);
                self.word(value);
                self.store(*kind, *offset);
            }
            Statement::StoreWide(kind, offset, address, value) => {
                self.word(address);
                self.wide(value);
                if matches!(kind, Kind::Float) {
                    self.emit(&Do::F64ReinterpretI64);
                }
                let to = offset.to();
                self.emit(&match kind {
                    Kind::All => Do::I64Store(to),
                    Kind::One => Do::I64Store8(to),
                    Kind::Two => Do::I64Store16(to),
                    Kind::Four => Do::I64Store32(to),
                    Kind::Float => Do::F64Store(to),
                });
            }
            Statement::StoreItself(kind, offset, local) => {
                self.emit(&Do::LocalGet(pick(WORDS, *local)));
                self.emit(&Do::LocalGet(pick(WORDS, *local)));
                self.store(*kind, *offset);
            }
            Statement::Set(local, value) => {
                self.word(value);
                self.emit(&Do::LocalSet(pick(WORDS, *local)));
            }
            Statement::SetWide(local, value) => {
                self.wide(value);
                self.emit(&Do::LocalSet(pick(WIDES, *local)));
            }
            Statement::SetGlobal(value) => {
                self.word(value);
                self.emit(&Do::GlobalSet(0));
            }
            Statement::Block(inner) => self.within(Do::Block(BlockType::Empty), inner),
            Statement::Loop(inner) => self.within(Do::Loop(BlockType::Empty), inner),
            Statement::If(condition, then, otherwise) => {
                self.word(condition);
                self.emit(&Do::If(BlockType::Empty));
                self.depth += 1;
                self.all(then);
                self.emit(&Do::Else);
                self.all(otherwise);
                self.depth -= 1;
                self.emit(&Do::End);
            }
            Statement::LeaveIf(condition, depth) => {
                self.word(condition);
                self.emit(&Do::BrIf(u32::from(*depth) % self.depth));
            }
            Statement::Leave(depth) => self.emit(&Do::Br(u32::from(*depth) % self.depth)),
            Statement::Call(word, wide) => {
                self.word(word);
                self.wide(wide);
                self.emit(&Do::Call(RUN));
                self.emit(&Do::Drop);
            }
            Statement::Unreachable => self.emit(&Do::Unreachable),
        }
    }

    /// Stores a word.
    fn store(&mut self, kind: Kind, offset: Offset) {
        if matches!(kind, Kind::Float) {
            self.emit(&Do::F32ReinterpretI32);
        }
        let to = offset.to();
        self.emit(&match kind {
            Kind::All | Kind::Four => Do::I32Store(to),
            Kind::One => Do::I32Store8(to),
            Kind::Two => Do::I32Store16(to),
            Kind::Float => Do::F32Store(to),
        });
    }

    fn word(&mut self, word: &Word) {
        match word {
            Word::Small(value) => self.emit(&Do::I32Const((*value).into())),
            Word::Number(value) => self.emit(&Do::I32Const(*value)),
            Word::Local(local) => self.emit(&Do::LocalGet(pick(WORDS, *local))),
            Word::Tee(local, value) => {
                self.word(value);
                self.emit(&Do::LocalTee(pick(WORDS, *local)));
            }
            Word::Sum(a, b) => {
                self.word(a);
                self.word(b);
                self.emit(&Do::I32Add);
            }
            Word::IsZero(value) => {
                self.word(value);
                self.emit(&Do::I32Eqz);
            }
            Word::Differ(a, b) => {
                self.word(a);
                self.word(b);
                self.emit(&Do::I32Ne);
            }
            Word::Load(offset, address) => {
                self.word(address);
                self.emit(&Do::I32Load(offset.to()));
            }
            Word::Either(a, b, condition) => {
                self.word(a);
                self.word(b);
                self.word(condition);
                self.emit(&Do::Select);
            }
            Word::Wrap(value) => {
                self.wide(value);
                self.emit(&Do::I32WrapI64);
            }
            Word::Within(value) => {
                self.emit(&Do::Block(BlockType::Result(ValType::I32)));
                self.word(value);
                self.emit(&Do::End);
            }
            Word::Global => self.emit(&Do::GlobalGet(0)),
        }
    }

    fn wide(&mut self, wide: &Wide) {
        match wide {
            Wide::Number(value) => self.emit(&Do::I64Const(*value)),
            Wide::Local(local) => self.emit(&Do::LocalGet(pick(WIDES, *local))),
            Wide::Tee(local, value) => {
                self.wide(value);
                self.emit(&Do::LocalTee(pick(WIDES, *local)));
            }
            Wide::Sum(a, b) => {
                self.wide(a);
                self.wide(b);
                self.emit(&Do::I64Add);
            }
            Wide::Extend(value) => {
                self.word(value);
                self.emit(&Do::I64ExtendI32U);
            }
            Wide::Load(offset, address) => {
                self.word(address);
                self.emit(&Do::I64Load(offset.to()));
            }
            Wide::Run(word, wide) => {
                self.word(word);
                self.wide(wide);
                self.emit(&Do::Call(RUN));
            }
        }
    }
}

impl Offset {
    fn to(self) -> MemArg {
        let offset = match self {
            Self::Near(offset) => offset.into(),
            Self::BelowWide(less) => 0x1_0000 - u64::from(less % 9),
            Self::Wide(offset) => 0x1_0000 + u64::from(offset),
            Self::AtEnd(less) => 0x3_0000 - u64::from(less),
            Self::Any(offset) => offset.into(),
        };
        MemArg {
            offset,
            align: 0,
            memory_index: 0,
        }
    }
}

fn pick<const N: usize>(locals: [u32; N], choice: u8) -> u32 {
    locals[usize::from(choice) % N]
}
