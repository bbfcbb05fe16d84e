//! One budget of linear memory for all guests of the process: every growth is asked for here and refused when it is spent,
//! so that a greedy guest meets a failed allocation and the server never the kernel's killer.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The budget of the whole process.
#[derive(Debug)]
pub struct MemoryBudget {
    total_bytes: u64,
    used_bytes: AtomicU64,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    pub fn new(total_bytes: u64) -> Arc<Self> {
        Arc::new(Self { total_bytes, used_bytes: AtomicU64::new(0) })
    }

    /// What all instances together may have.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// What they have now.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Opens an account for one store; what it holds is given back when it is dropped.
    pub fn account(self: &Arc<Self>) -> MemoryAccount {
        MemoryAccount { budget: self.clone(), held_bytes: 0 }
    }

    fn take(&self, bytes: u64) -> bool {
        self.used_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|after| *after <= self.total_bytes)
            })
            .is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What one store holds of the budget.
#[derive(Debug)]
pub struct MemoryAccount {
    budget: Arc<MemoryBudget>,
    held_bytes: u64,
}

impl MemoryAccount {
    /// Asks for more; `false` means refused and nothing is taken.
    pub fn grow(&mut self, bytes: u64) -> bool {
        let granted = self.budget.take(bytes);
        if granted {
            self.held_bytes += bytes;
        }
        granted
    }

    /// Gives some back, after a growth that was granted here but failed later.
    pub fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.held_bytes);
        self.held_bytes -= bytes;
        self.budget.give_back(bytes);
    }

    /// What this store holds.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes
    }
}

impl Drop for MemoryAccount {
    fn drop(&mut self) {
        self.budget.give_back(self.held_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_beyond_the_budget_is_refused_and_a_dropped_store_gives_back() {
        let budget = MemoryBudget::new(100);
        let mut first = budget.account();
        let mut second = budget.account();
        assert!(first.grow(60));
        assert!(!second.grow(41));
        assert!(second.grow(40));
        assert_eq!(budget.used_bytes(), 100);
        drop(first);
        assert_eq!(budget.used_bytes(), 40);
        assert!(second.grow(60));
        second.shrink(1000);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn a_growth_that_overflows_is_refused() {
        let budget = MemoryBudget::new(u64::MAX);
        let mut account = budget.account();
        assert!(account.grow(1));
        assert!(!account.grow(u64::MAX));
    }
}
