//! Which shelves there are, and what there is one of for each. Pure.

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

/// Something for each shelf, in the order of [`ShelfKind::ALL`]: a kind is its number in it.
pub(super) type PerShelf<T> = [T; 2];
