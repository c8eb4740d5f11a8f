//! Which shelves there are, and what there is one of for each. Pure.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

/// Where letters come from: a shelf for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShelfKind {
    /// Events that died on arrival.
    Arrival,
    /// Events that a Broker does not take.
    Broker,
}

impl ShelfKind {
    /// Every kind, in the order in which letters are read.
    pub(super) const ALL: [Self; 2] = [Self::Arrival, Self::Broker];

    /// The name of the shelf's folder.
    pub(super) const fn folder_name(self) -> &'static str {
        match self {
            Self::Arrival => "arrival",
            Self::Broker => "broker",
        }
    }
}

/// Something for each shelf. In files it is a list in the order of [`ShelfKind::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[T; 2]", into = "[T; 2]")]
pub(super) struct PerShelf<T: Clone> {
    arrival: T,
    broker: T,
}

impl<T: Clone> From<[T; 2]> for PerShelf<T> {
    fn from([arrival, broker]: [T; 2]) -> Self {
        Self { arrival, broker }
    }
}

impl<T: Clone> From<PerShelf<T>> for [T; 2] {
    fn from(each: PerShelf<T>) -> Self {
        [each.arrival, each.broker]
    }
}

impl<T: Clone> Index<ShelfKind> for PerShelf<T> {
    type Output = T;

    fn index(&self, kind: ShelfKind) -> &T {
        match kind {
            ShelfKind::Arrival => &self.arrival,
            ShelfKind::Broker => &self.broker,
        }
    }
}

impl<T: Clone> IndexMut<ShelfKind> for PerShelf<T> {
    fn index_mut(&mut self, kind: ShelfKind) -> &mut T {
        match kind {
            ShelfKind::Arrival => &mut self.arrival,
            ShelfKind::Broker => &mut self.broker,
        }
    }
}
