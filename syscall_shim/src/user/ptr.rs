use crate::kernel::UserMemory;
use core::marker::PhantomData;
use linux_abi::zerocopy::{FromBytes, Immutable, IntoBytes};
use linux_abi::{Abi, Errno};

/// An address in the program at which a `T` is, or is wanted. Using it can only fail with EFAULT.
pub struct UserPtr<T> {
    addr: u64,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for UserPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for UserPtr<T> {}

impl<T> UserPtr<T> {
    #[must_use]
    pub const fn new(addr: u64) -> Self {
        Self {
            addr,
            kind: PhantomData,
        }
    }

    #[must_use]
    pub const fn addr(self) -> u64 {
        self.addr
    }

    #[must_use]
    pub const fn is_null(self) -> bool {
        self.addr == 0
    }

    /// None for the null pointer.
    #[must_use]
    pub const fn optional(self) -> Option<Self> {
        if self.addr == 0 { None } else { Some(self) }
    }

    /// The pointer to element `index` of an array that starts here.
    #[must_use]
    pub const fn at(self, index: usize) -> Self {
        Self::new(
            self.addr
                .wrapping_add((index as u64).wrapping_mul(size_of::<T>() as u64)),
        )
    }

    /// The same address, seen as another type.
    #[must_use]
    pub const fn cast<U>(self) -> UserPtr<U> {
        UserPtr::new(self.addr)
    }
}

impl<T: Abi> UserPtr<T> {
    pub fn read<K: UserMemory>(self, k: &K) -> Result<T, Errno> {
        let mut value = T::new_zeroed();
        k.read(self.addr, value.as_mut_bytes())?;
        Ok(value)
    }

    pub fn write<K: UserMemory>(self, k: &K, value: &T) -> Result<(), Errno> {
        k.write(self.addr, value.as_bytes())
    }

    /// Writes unless the pointer is null.
    pub fn write_if<K: UserMemory>(self, k: &K, value: &T) -> Result<(), Errno> {
        if self.is_null() {
            Ok(())
        } else {
            self.write(k, value)
        }
    }

    /// Reads unless the pointer is null.
    pub fn read_if<K: UserMemory>(self, k: &K) -> Result<Option<T>, Errno> {
        self.optional().map(|pointer| pointer.read(k)).transpose()
    }
}

impl<T: FromBytes + IntoBytes + Immutable> UserPtr<T> {
    /// Reads an array. An empty one may be anywhere.
    pub fn read_slice<K: UserMemory>(self, k: &K, into: &mut [T]) -> Result<(), Errno> {
        if into.is_empty() {
            Ok(())
        } else {
            k.read(self.addr, into.as_mut_bytes())
        }
    }

    /// Writes an array. An empty one may go anywhere.
    pub fn write_slice<K: UserMemory>(self, k: &K, from: &[T]) -> Result<(), Errno> {
        if from.is_empty() {
            Ok(())
        } else {
            k.write(self.addr, from.as_bytes())
        }
    }
}
