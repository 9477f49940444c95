//! Python's pickles, read as data: objects are described, not made, and nothing that a pickle names is called.
//!
//! A pickle is a program for a stack machine, which may call any function that Python can import. Here a call becomes a
//! [`Value::Call`] that says what would have been called, and nothing more. All values lie in one line and refer to each other
//! by their number, so whatever a pickle does, the memory for it is linear in its length, and nothing is recursive.
//!
//! Read are the opcodes that `torch.save` writes, in protocols 2 and 4.

use crate::error::{self, Fault};
use std::collections::HashMap;

/// The number of a value in a [`Pickle`]; the machine gives out only numbers of values that it has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ValueId(usize);

/// An object of Python, as far as anyone here wants to know.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// An integer of at most 64 bits.
    Int(i64),
    Text(String),
    /// `False` and `True`.
    Bool(bool),
    /// A list, or a set.
    List(Vec<ValueId>),
    Tuple(Vec<ValueId>),
    /// A `dict` or an `OrderedDict`, in the order in which it was filled; the last of equal keys counts.
    Dict(Vec<(ValueId, ValueId)>),
    /// A class or function by its full name, as `torch._utils._rebuild_tensor_v2`.
    Global(String),
    /// A call that was not made, or an object that was not built.
    Call {
        callee: ValueId,
        arguments: ValueId,
    },
    /// Something outside the pickle; `torch.save` keeps storages so.
    Persistent(ValueId),
    /// `None`, floats, bytes, long integers.
    Other,
}

/// What a pickle describes.
#[derive(Debug)]
pub(super) struct Pickle {
    values: Vec<Value>,
    root: ValueId,
}

impl Pickle {
    /// Reads the pickle at the beginning of `bytes` and says how many bytes it takes.
    pub fn read(bytes: &[u8]) -> Result<(Pickle, usize), Fault> {
        let mut machine = Machine { bytes, ..Machine::default() };
        loop {
            let at = machine.at;
            let fault =
                |fault: Fault| fault.within(error::Place::Byte(at as u64)).within(error::Place::Part("pickle".into()));
            if machine.step().map_err(fault)? {
                let root = machine.pop().map_err(fault)?;
                return Ok((Pickle { values: machine.values, root }, machine.at));
            }
        }
    }

    /// The object that was pickled.
    pub fn root(&self) -> &Value {
        self.get(self.root)
    }

    pub fn get(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// Everything, in the order in which it stands in the file.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// What a dictionary holds under `key`.
    pub fn entry(&self, dict: &Value, key: &str) -> Option<&Value> {
        let Value::Dict(pairs) = dict else { return None };
        let found = pairs.iter().rev().find(|(k, _)| matches!(self.get(*k), Value::Text(text) if text == key));
        found.map(|(_, value)| self.get(*value))
    }

    /// The members of a tuple or list.
    pub fn members(&self, value: &Value) -> Option<impl ExactSizeIterator<Item = &Value>> {
        match value {
            Value::Tuple(ids) | Value::List(ids) => Some(ids.iter().map(|id| self.get(*id))),
            _ => None,
        }
    }

    /// The first `N` members of a tuple or list; none if it has fewer.
    pub fn first<const N: usize>(&self, value: &Value) -> Option<[&Value; N]> {
        match value {
            Value::Tuple(ids) | Value::List(ids) => ids.first_chunk::<N>().map(|ids| ids.map(|id| self.get(id))),
            _ => None,
        }
    }
}

/// The stack machine.
#[derive(Default)]
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<ValueId>,
    /// Heights of the stack at which marks stand.
    marks: Vec<usize>,
    memo: HashMap<u32, ValueId>,
}

impl Machine<'_> {
    /// Does what one opcode says; true at the end of the pickle.
    fn step(&mut self) -> Result<bool, Fault> {
        match self.number::<1>()? as u8 {
            b'.' => return Ok(true),
            0x80 => self.protocol()?,
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'N' => self.push(Value::Other),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'K' => self.integer::<1>()?,
            b'M' => self.integer::<2>()?,
            b'J' => {
                let value = self.number::<4>()? as u32 as i32;
                self.push(Value::Int(value.into()));
            }
            0x8a => self.long()?,
            b'G' => self.other(8)?,
            b'X' => self.text::<4>()?,
            0x8c => self.text::<1>()?,
            b'C' => self.bytes::<1>()?,
            b'B' => self.bytes::<4>()?,
            b')' => self.push(Value::Tuple(Vec::new())),
            b']' | 0x8f => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let members = self.pop_to_mark()?;
                self.push(Value::Tuple(members));
            }
            b'l' | 0x91 => {
                let members = self.pop_to_mark()?;
                self.push(Value::List(members));
            }
            b'a' => {
                let member = self.pop()?;
                self.append(vec![member])?;
            }
            b'e' | 0x90 => {
                let members = self.pop_to_mark()?;
                self.append(members)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.fill(&[key, value])?;
            }
            b'u' => {
                let pairs = self.pop_to_mark()?;
                self.fill(&pairs)?;
            }
            b'q' => self.remember::<1>()?,
            b'r' => self.remember::<4>()?,
            0x94 => {
                let top = self.top()?;
                self.memo.insert(self.memo.len() as u32, top);
            }
            b'h' => self.recall::<1>()?,
            b'j' => self.recall::<4>()?,
            b'c' => {
                let name = format!("{}.{}", self.line()?, self.line()?);
                self.push(Value::Global(name));
            }
            0x93 => self.global_from_stack()?,
            b'Q' => {
                let id = self.pop()?;
                self.push(Value::Persistent(id));
            }
            b'R' | 0x81 => self.call()?,
            0x92 => {
                self.pop()?;
                self.call()?;
            }
            // The state of an object that was not built; the attributes of a dictionary.
            b'b' => drop(self.pop()?),
            other => return Err(Fault::found(format!("the opcode {other:#04x}"), "one that torch.save writes")),
        }
        Ok(false)
    }

    fn protocol(&mut self) -> Result<(), Fault> {
        match self.number::<1>()? {
            2..=4 => Ok(()),
            other => Err(Fault::found(format!("protocol {other}"), "2, 3 or 4")),
        }
    }

    fn take(&mut self, count: usize) -> Result<&[u8], Fault> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..count)).ok_or_else(cut)?;
        self.at += count;
        Ok(taken)
    }

    /// An unsigned number of `N` bytes, little-endian.
    fn number<const N: usize>(&mut self) -> Result<u64, Fault> {
        Ok(self.take(N)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn line(&mut self) -> Result<String, Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or_else(cut)?;
        let line = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(line)
    }

    fn push(&mut self, value: Value) {
        self.stack.push(ValueId(self.values.len()));
        self.values.push(value);
    }

    fn top(&self) -> Result<ValueId, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack
            .get(floor..)
            .and_then(|above| above.last().copied())
            .ok_or_else(|| Fault::found("no value on the stack", "one"))
    }

    fn pop(&mut self) -> Result<ValueId, Fault> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<ValueId>, Fault> {
        let mark = self.marks.pop().ok_or_else(|| Fault::found("no mark on the stack", "one"))?;
        Ok(self.stack.split_off(mark))
    }

    fn integer<const N: usize>(&mut self) -> Result<(), Fault> {
        let value = self.number::<N>()? as i64;
        self.push(Value::Int(value));
        Ok(())
    }

    /// An integer of as many bytes as the first byte says, in two's complement.
    fn long(&mut self) -> Result<(), Fault> {
        let length = self.number::<1>()? as usize;
        let bytes = self.take(length)?;
        let sign = if bytes.last().is_some_and(|last| last & 0x80 != 0) { -1 } else { 0 };
        let value = bytes.iter().rev().fold(sign, |value, byte| value << 8 | i64::from(*byte));
        self.push(if length <= 8 { Value::Int(value) } else { Value::Other });
        Ok(())
    }

    fn other(&mut self, length: usize) -> Result<(), Fault> {
        self.take(length)?;
        self.push(Value::Other);
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<(), Fault> {
        let length = self.number::<N>()? as usize;
        self.other(length)
    }

    fn text<const N: usize>(&mut self) -> Result<(), Fault> {
        let length = self.number::<N>()? as usize;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.push(Value::Text(text));
        Ok(())
    }

    fn tuple(&mut self, count: usize) -> Result<(), Fault> {
        let mut members = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        members.reverse();
        self.push(Value::Tuple(members));
        Ok(())
    }

    fn append(&mut self, members: Vec<ValueId>) -> Result<(), Fault> {
        let top = self.top()?;
        match &mut self.values[top.0] {
            Value::List(list) => list.extend(members),
            Value::Call { .. } => {}
            _ => return Err(Fault::found("an append to something else", "a list")),
        }
        Ok(())
    }

    fn fill(&mut self, pairs: &[ValueId]) -> Result<(), Fault> {
        let top = self.top()?;
        let (pairs, []) = pairs.as_chunks::<2>() else { return Err(Fault::found("a key without a value", "pairs")) };
        match &mut self.values[top.0] {
            Value::Dict(dict) => dict.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            Value::Call { .. } => {}
            _ => return Err(Fault::found("pairs for something else", "a dictionary")),
        }
        Ok(())
    }

    fn remember<const N: usize>(&mut self) -> Result<(), Fault> {
        let (index, top) = (self.number::<N>()? as u32, self.top()?);
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall<const N: usize>(&mut self) -> Result<(), Fault> {
        let index = self.number::<N>()? as u32;
        let id = self.memo.get(&index).ok_or_else(|| Fault::found(format!("value {index}"), "one that was kept"))?;
        self.stack.push(*id);
        Ok(())
    }

    fn global_from_stack(&mut self) -> Result<(), Fault> {
        let (name, module) = (self.pop()?, self.pop()?);
        let (Value::Text(module), Value::Text(name)) = (&self.values[module.0], &self.values[name.0]) else {
            return Err(Fault::found("a class without a name", "a text"));
        };
        // Both texts can be used again and again: a long one would make the memory quadratic.
        if module.len() + name.len() > NAME_MAX {
            return Err(Fault::found("a longer name of a class", format!("at most {NAME_MAX} bytes")));
        }
        let global = Value::Global(format!("{module}.{name}"));
        self.push(global);
        Ok(())
    }

    /// Notes a call; an empty `OrderedDict` alone is taken for what it is.
    fn call(&mut self) -> Result<(), Fault> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let ordered = matches!(&self.values[callee.0], Value::Global(name) if name == "collections.OrderedDict");
        let empty = matches!(&self.values[arguments.0], Value::Tuple(members) if members.is_empty());
        self.push(if ordered && empty { Value::Dict(Vec::new()) } else { Value::Call { callee, arguments } });
        Ok(())
    }
}

fn cut() -> Fault {
    Fault::found("the end of the file", "more bytes")
}

/// The longest name of a class in protocol 4.
const NAME_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Pickle, Fault> {
        Pickle::read(bytes).map(|(pickle, _)| pickle)
    }

    #[test]
    fn a_dictionary_is_read() {
        // pickle.dumps({"a": [1, -2], "b": (300, None)}, 2)
        let bytes = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffeX\x01\x00\x00\x00bq\x03M,\x01N\x86q\x04u.";
        let (pickle, length) = Pickle::read(bytes).unwrap();
        assert_eq!(length, bytes.len());
        let a = pickle.entry(pickle.root(), "a").unwrap();
        assert_eq!(pickle.first(a).unwrap(), [&Value::Int(1), &Value::Int(-2)]);
        let b = pickle.entry(pickle.root(), "b").unwrap();
        assert_eq!(pickle.first(b).unwrap(), [&Value::Int(300), &Value::Other]);
        assert_eq!(pickle.entry(pickle.root(), "c"), None);
    }

    #[test]
    fn a_call_is_noted_and_not_made() {
        let pickle = read(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.").unwrap();
        let Value::Call { callee, arguments } = pickle.root() else { panic!("{pickle:?}") };
        assert_eq!(*pickle.get(*callee), Value::Global("posix.system".to_owned()));
        assert_eq!(pickle.first(pickle.get(*arguments)).unwrap(), [&Value::Text("ls".to_owned())]);
    }

    #[test]
    fn long_integers_keep_their_sign() {
        for (bytes, value) in [(&b"\x8a\x01\xff."[..], -1), (b"\x8a\x02\xff\x00.", 255), (b"\x8a\x00.", 0)] {
            assert_eq!(*read(bytes).unwrap().root(), Value::Int(value));
        }
        assert_eq!(*read(b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.").unwrap().root(), Value::Other);
    }

    #[test]
    fn a_fault_is_named_with_its_place() {
        let refusals: [(&[u8], &str); 6] = [
            (b"\x80\x02", "pickle, byte 2: found the end of the file, expected more bytes"),
            (b"\x80\x02K", "pickle, byte 2: found the end of the file, expected more bytes"),
            (b"\x80\x02\xff.", "pickle, byte 2: found the opcode 0xff, expected one that torch.save writes"),
            (b"(K\x01(0.", "pickle, byte 4: found no value on the stack, expected one"),
            (b"K\x01K\x02a.", "pickle, byte 4: found an append to something else, expected a list"),
            (b"h\x07.", "pickle, byte 0: found value 7, expected one that was kept"),
        ];
        for (bytes, expected) in refusals {
            assert_eq!(read(bytes).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn nesting_without_end_is_no_trouble() {
        let mut bytes = vec![b']'; 1 << 20];
        bytes.extend([b'a'; (1 << 20) - 1]);
        bytes.push(b'.');
        assert!(read(&bytes).is_ok());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn no_opcodes_make_it_panic(bytes in prop::collection::vec(
            prop::sample::select(b".(0NK]})\x85\x86\x87tleasuq\x94h\x93QR\x81\x92b\x01\x00\x8c".to_vec()), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
