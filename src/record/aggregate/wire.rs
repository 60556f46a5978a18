//! The fields of a message of protocol buffers, one after the other, without a copy.

/// How deep groups may be nested, as with prost.
const DEPTH: u32 = 100;

/// The unread rest of a message.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    left: &'a [u8],
    length: usize,
    depth: u32,
}

/// The value of a field. Fixed numbers and groups are only skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// The bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Fields<'a> {
    /// The fields of a whole message.
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { left: message, length: message.len(), depth: DEPTH }
    }

    /// The fields of a message that is a field of this one.
    pub(super) fn within(self, message: &'a [u8]) -> Self {
        Self { left: message, length: message.len(), depth: self.depth - 1 }
    }

    /// The next field, with its number; `None` at the end.
    #[inline]
    pub(super) fn read(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let (field, kind) = self.key()?;
        Ok(Some((field, self.value(field, kind, self.depth)?)))
    }

    /// Where the next field begins, counted from the start of the message: directly after the last field read.
    #[inline]
    pub(super) fn at(&self) -> usize {
        self.length - self.left.len()
    }

    #[inline]
    fn key(&mut self) -> Result<(u32, u8), Malformed> {
        let key = u32::try_from(self.number()?).map_err(|_| Malformed)?;
        let (field, kind) = (key >> 3, (key & 7) as u8);
        if field == 0 { Err(Malformed) } else { Ok((field, kind)) }
    }

    #[inline]
    fn value(&mut self, field: u32, kind: u8, depth: u32) -> Result<Value<'a>, Malformed> {
        match kind {
            0 => Ok(Value::Number(self.number()?)),
            2 => {
                let length = usize::try_from(self.number()?).map_err(|_| Malformed)?;
                Ok(Value::Bytes(self.take(length)?))
            }
            _ => self.other(field, kind, depth),
        }
    }

    fn other(&mut self, field: u32, kind: u8, depth: u32) -> Result<Value<'a>, Malformed> {
        match kind {
            1 => drop(self.take(8)?),
            3 => self.group(field, depth)?,
            5 => drop(self.take(4)?),
            _ => return Err(Malformed),
        }
        Ok(Value::Other)
    }

    /// Skips the rest of a group, up to and including its end.
    fn group(&mut self, field: u32, depth: u32) -> Result<(), Malformed> {
        loop {
            let (inner, kind) = self.key()?;
            if kind == 4 {
                return if inner == field { Ok(()) } else { Err(Malformed) };
            }
            let depth = depth.checked_sub(1).filter(|depth| *depth > 0).ok_or(Malformed)?;
            self.value(inner, kind, depth)?;
        }
    }

    #[inline]
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Malformed> {
        let (taken, left) = self.left.split_at_checked(bytes).ok_or(Malformed)?;
        self.left = left;
        Ok(taken)
    }

    #[inline]
    fn number(&mut self) -> Result<u64, Malformed> {
        let (&first, left) = self.left.split_first().ok_or(Malformed)?;
        if first < 0x80 {
            self.left = left;
            return Ok(first.into());
        }
        self.long_number()
    }

    /// Seven bits in each byte, the lowest first.
    fn long_number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for (place, &byte) in self.left.iter().take(10).enumerate() {
            if place == 9 && byte > 1 {
                return Err(Malformed);
            }
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                self.left = &self.left[place + 1..];
                return Ok(number);
            }
        }
        Err(Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All fields, or `None` if it is not a message.
    fn read(message: &[u8]) -> Option<Vec<(u32, Value<'_>)>> {
        let (mut fields, mut found) = (Fields::of(message), Vec::new());
        while let Some(field) = fields.read().ok()? {
            found.push(field);
        }
        assert_eq!(fields.at(), message.len());
        Some(found)
    }

    #[test]
    fn every_kind_of_field_is_read_or_passed_over() {
        let message = [
            &b"\x08\x96\x01"[..],                            // 1: 150
            b"\x11\x01\x02\x03\x04\x05\x06\x07\x08",         // 2: eight bytes
            b"\x1a\x02hi",                                   // 3: a text
            b"\x23\x08\x01\x2b\x2c\x24",                     // 4: a group with a number and a group
            b"\x2d\x01\x02\x03\x04",                         // 5: four bytes
            b"\xf8\xff\xff\xff\x0f\x00",                     // the highest number of a field
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", // 1: the largest number
        ];
        let wanted = [
            (1, Value::Number(150)),
            (2, Value::Other),
            (3, Value::Bytes(b"hi")),
            (4, Value::Other),
            (5, Value::Other),
            ((1 << 29) - 1, Value::Number(0)),
            (1, Value::Number(u64::MAX)),
        ];
        assert_eq!(read(&message.concat()).unwrap(), wanted);
    }

    #[test]
    fn what_is_no_message_is_refused_wherever_it_ends() {
        let refused: [&[u8]; 14] = [
            b"\x08",                                             // a number that is not there
            b"\x08\x80",                                         // or not whole
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",     // or too large
            b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", // or too long
            b"\x11\x01\x02\x03\x04\x05\x06\x07",                 // seven bytes of eight
            b"\x1a\x03hi",                                       // two of three
            b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",     // of all there could be
            b"\x2d\x01\x02\x03",                                 // three of four
            b"\x23\x08\x01",                                     // a group without an end
            b"\x23\x1c",                                         // or with another's
            b"\x24",                                             // an end alone
            b"\x0e\x00",                                         // kinds that there are not
            b"\x00\x00",                                         // no field has number 0
            b"\x80\x80\x80\x80\x10\x00",                         // nor one of more than 29 bits
        ];
        for message in refused {
            assert_eq!(read(message), None, "{message:x?}");
        }
    }

    #[test]
    fn groups_may_be_deep_but_not_without_end() {
        let groups = |deep: usize| [b"\x0b".repeat(deep), b"\x0c".repeat(deep)].concat();
        assert_eq!(read(&groups(DEPTH as usize)).unwrap(), [(1, Value::Other)]);
        for deep in [DEPTH as usize + 1, 1 << 20] {
            assert_eq!(read(&groups(deep)), None);
        }
    }
}
