//! Where cores lie and how packets travel. Chips stand in a grid that is as square as it can be; their meshes continue each other.

use crate::chip::target::{Costs, Target};

/// The place of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// Number of the chip.
    pub chip: u32,
    /// Tiles from the west edge of the chip.
    pub x: u32,
    /// Tiles from the north edge of the chip.
    pub y: u32,
    /// Number of the core on its chip.
    pub core: u32,
}

/// The mesh of so many chips.
#[derive(Clone, Debug)]
pub(super) struct Mesh {
    width: u32,
    height: u32,
    cores: u32,
    cores_per_tile: u32,
    pub chips: u32,
    /// Chips from west to east.
    columns: u32,
    hop_x: f64,
    hop_y: f64,
    chip: f64,
}

/// A tile of the whole grid.
pub(super) type Tile = (u32, u32);

impl Mesh {
    pub fn new(target: &Target, chips: u32) -> Mesh {
        let Costs { hop_x_pj, hop_y_pj, chip_pj, .. } = target.costs;
        Mesh {
            width: target.chip.width,
            height: target.chip.height,
            cores: target.chip.cores,
            cores_per_tile: target.chip.cores_per_tile,
            chips,
            columns: (1..=chips).find(|c| c * c >= chips).unwrap_or(1),
            hop_x: hop_x_pj,
            hop_y: hop_y_pj,
            chip: chip_pj,
        }
    }

    /// Sites of all chips.
    pub fn slots(&self) -> u32 {
        self.chips * self.cores
    }

    pub fn site(&self, slot: u32) -> Site {
        let core = slot % self.cores;
        let tile = core / self.cores_per_tile;
        Site { chip: slot / self.cores, x: tile / self.height, y: tile % self.height, core }
    }

    pub fn tile(&self, site: Site) -> Tile {
        let (column, row) = (site.chip % self.columns, site.chip / self.columns);
        (column * self.width + site.x, row * self.height + site.y)
    }

    /// Where the host's packets enter and leave.
    pub fn port(&self) -> Tile {
        (0, 0)
    }

    pub fn hops(&self, a: Tile, b: Tile) -> u32 {
        a.0.abs_diff(b.0) + a.1.abs_diff(b.1)
    }

    /// pJ of a packet's way.
    pub fn energy(&self, a: Tile, b: Tile) -> f64 {
        let borders = (a.0 / self.width).abs_diff(b.0 / self.width) + (a.1 / self.height).abs_diff(b.1 / self.height);
        f64::from(a.0.abs_diff(b.0)) * self.hop_x
            + f64::from(a.1.abs_diff(b.1)) * self.hop_y
            + f64::from(borders) * self.chip
    }

    /// Number of link slots: four directions of each tile.
    pub fn links(&self) -> usize {
        let rows = self.chips.div_ceil(self.columns);
        (self.columns * self.width) as usize * (rows * self.height) as usize * 4
    }

    /// The links of a way, first along x, then along y.
    pub fn route(&self, from: Tile, to: Tile, mut visit: impl FnMut(usize)) {
        let mut at = from;
        let across = (self.columns * self.width) as usize;
        let link = |tile: Tile, direction: usize| (tile.1 as usize * across + tile.0 as usize) * 4 + direction;
        while at.0 != to.0 {
            let east = at.0 < to.0;
            visit(link(at, usize::from(east)));
            at.0 = if east { at.0 + 1 } else { at.0 - 1 };
        }
        while at.1 != to.1 {
            let south = at.1 < to.1;
            visit(link(at, 2 + usize::from(south)));
            at.1 = if south { at.1 + 1 } else { at.1 - 1 };
        }
    }

    /// All slots, chip by chip, along Hilbert's curve, so that neighbours in this order are neighbours on the mesh.
    pub fn hilbert(&self) -> Vec<u32> {
        let side = self.width.max(self.height).next_power_of_two();
        let mut tiles = Vec::new();
        for i in 0..side * side {
            let (x, y) = hilbert_point(side, i);
            if x < self.width && y < self.height {
                tiles.push(x * self.height + y);
            }
        }
        let on_chip = |tile: u32| (0..self.cores_per_tile).map(move |k| tile * self.cores_per_tile + k);
        let slots: Vec<u32> = tiles.into_iter().flat_map(on_chip).filter(|core| *core < self.cores).collect();
        (0..self.chips).flat_map(|chip| slots.iter().map(move |core| chip * self.cores + core)).collect()
    }
}

/// Point `i` of Hilbert's curve through a square of `side` by `side` (a power of two).
fn hilbert_point(side: u32, i: u32) -> Tile {
    let (mut x, mut y, mut rest) = (0, 0, i);
    let mut s = 1;
    while s < side {
        let rx = 1 & (rest / 2);
        let ry = 1 & (rest ^ rx);
        if ry == 0 {
            if rx == 1 {
                (x, y) = (s - 1 - x, s - 1 - y);
            }
            (x, y) = (y, x);
        }
        x += s * rx;
        y += s * ry;
        rest /= 4;
        s *= 2;
    }
    (x, y)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh(chips: u32) -> Mesh {
        Mesh::new(&Target::built_in("loihi2").expect("built in"), chips)
    }

    #[test]
    fn hilberts_curve_visits_each_point_once_and_steps_to_neighbours() {
        let points: Vec<_> = (0..64).map(|i| hilbert_point(8, i)).collect();
        let mut sorted = points.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 64);
        assert!(points.windows(2).all(|p| p[0].0.abs_diff(p[1].0) + p[0].1.abs_diff(p[1].1) == 1));
        let mut slots = mesh(3).hilbert();
        slots.sort_unstable();
        assert_eq!(slots, (0..360).collect::<Vec<_>>());
    }

    #[test]
    fn routes_go_along_x_first_and_take_as_many_links_as_hops() {
        let mesh = mesh(4);
        for (a, b) in [((0, 0), (9, 5)), ((15, 7), (2, 3)), ((3, 3), (3, 3))] {
            let mut links = Vec::new();
            mesh.route(a, b, |l| links.push(l));
            assert_eq!(links.len() as u32, mesh.hops(a, b));
            assert!(links.iter().all(|l| *l < mesh.links()));
            assert!(links.is_sorted_by_key(|l| l % 4 / 2), "{links:?}");
        }
        // Two hops along x at 3.0, one along y at 4.2; the border of a chip at 30.
        assert!((mesh.energy((0, 0), (2, 1)) - 10.2).abs() < 1e-12);
        assert!((mesh.energy((7, 0), (8, 0)) - 33.0).abs() < 1e-12);
    }

    #[test]
    fn sites_are_numbered_as_in_sanafe() {
        assert_eq!(mesh(1).site(21), Site { chip: 0, x: 1, y: 1, core: 21 });
        assert_eq!(mesh(2).site(120), Site { chip: 1, x: 0, y: 0, core: 0 });
    }
}
