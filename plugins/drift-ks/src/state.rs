//! The fitted reference: the values of each numeric column in order; and its form as bytes.

/// The version of the form; another one is refused.
const STATE_VERSION: u8 = 1;
/// Written in place of a count for a column without values.
const NO_VALUES: u32 = u32::MAX;

/// The reference of one column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnReference {
    /// How many values it stands for.
    pub seen: u64,
    /// Them, or a uniform sample of them, ascending.
    pub values: Vec<f64>,
}

/// The reference of all columns; none for columns without numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// One entry per column.
    pub columns: Vec<Option<ColumnReference>>,
}

impl Fitted {
    /// As bytes, little-endian.
    pub fn save(&self) -> Vec<u8> {
        let mut bytes = vec![STATE_VERSION];
        bytes.extend((self.columns.len() as u32).to_le_bytes());
        for column in &self.columns {
            let Some(column) = column else {
                bytes.extend(NO_VALUES.to_le_bytes());
                continue;
            };
            bytes.extend((column.values.len() as u32).to_le_bytes());
            bytes.extend(column.seen.to_le_bytes());
            column.values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        }
        bytes
    }

    /// What `save` wrote.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn load(bytes: &[u8]) -> Result<Self, String> {
        let (version, mut rest) = bytes.split_first().ok_or("the state is empty")?;
        if *version != STATE_VERSION {
            return Err(format!("the state is of version {version}"));
        }
        let count = u32::from_le_bytes(take(&mut rest)?);
        let mut columns = Vec::new();
        for _ in 0..count {
            let values = u32::from_le_bytes(take(&mut rest)?);
            if values == NO_VALUES {
                columns.push(None);
                continue;
            }
            let seen = u64::from_le_bytes(take(&mut rest)?);
            if values == 0 || rest.len() < values as usize * size_of::<f64>() {
                return Err("the state is cut short".into());
            }
            let mut column = ColumnReference { seen, values: Vec::with_capacity(values as usize) };
            for _ in 0..values {
                column.values.push(f64::from_le_bytes(take(&mut rest)?));
            }
            if !column.values.is_sorted() || column.values.iter().any(|value| !value.is_finite()) {
                return Err("the state is not a sorted sample".into());
            }
            columns.push(Some(column));
        }
        Ok(Self { columns })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], String> {
    let (part, after) = rest.split_first_chunk::<N>().ok_or("the state is cut short")?;
    *rest = after;
    Ok(*part)
}
