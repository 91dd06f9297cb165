//! A chart of throughput and latency, as SVG.

use std::fmt::Write as _;

/// A line in a panel.
pub struct Series {
    pub name: &'static str,
    pub color: &'static str,
    pub points: Vec<(f64, f64)>,
}

/// A panel with two logarithmic axes.
pub struct Panel {
    pub title: &'static str,
    pub x_label: &'static str,
    pub series: Vec<Series>,
}

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 280.0;
/// Margins for titles and labels: left, top, right, bottom.
const MARGINS: (f64, f64, f64, f64) = (58.0, 34.0, 14.0, 62.0);

/// Draws the panels in two columns.
pub fn draw(panels: &[Panel]) -> String {
    let rows = panels.len().div_ceil(2) as f64;
    let (width, height) = (WIDTH * 2.0, HEIGHT * rows);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        let (x, y) = ((index % 2) as f64 * WIDTH, (index / 2) as f64 * HEIGHT);
        let _ = writeln!(svg, "<g transform=\"translate({x} {y})\">\n{}</g>", panel.draw());
    }
    svg + "</svg>\n"
}

impl Panel {
    fn draw(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let (from_x, to_x) = range(points().map(|(x, _)| *x));
        let (min_y, max_y) = range(points().map(|(_, y)| *y));
        // The axis starts and ends at a power of ten.
        let (from_y, to_y) = (10f64.powf(min_y.log10().floor()), 10f64.powf(max_y.log10().ceil()));
        let (left, top, right, bottom) = MARGINS;
        let x = |value: f64| left + share(value, from_x, to_x) * (WIDTH - left - right);
        let y = |value: f64| HEIGHT - bottom - share(value, from_y, to_y) * (HEIGHT - top - bottom);

        let mut svg = format!("<text x=\"{left}\" y=\"20\" font-weight=\"bold\">{}</text>\n", self.title);
        let mut tick = from_y;
        while tick <= to_y * 1.001 {
            let (at, from, to) = (y(tick), left, WIDTH - right);
            let _ = writeln!(svg, "<path d=\"M{from} {at:.1}H{to}\" stroke=\"#ddd\"/>");
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 6.0,
                at + 4.0,
                format_tick(tick)
            );
            tick *= 10.0;
        }
        let mut ticks: Vec<f64> = points().map(|(x, _)| *x).collect();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        for tick in ticks {
            let (at, below) = (x(tick), HEIGHT - bottom + 16.0);
            let _ =
                writeln!(svg, "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{}</text>", format_tick(tick));
        }
        let (middle, below) = ((left + WIDTH - right) / 2.0, HEIGHT - bottom + 32.0);
        let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{}</text>", self.x_label);
        for (index, Series { name, color, points }) in self.series.iter().enumerate() {
            let path: Vec<String> = points.iter().map(|(px, py)| format!("{:.1} {:.1}", x(*px), y(*py))).collect();
            let _ =
                writeln!(svg, "<path d=\"M{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>", path.join("L"));
            for (px, py) in points {
                let _ = writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{color}\"/>", x(*px), y(*py));
                let label = crate::report::short(*py);
                let (at, above) = (x(*px), y(*py) - 7.0);
                let _ = writeln!(
                    svg,
                    "<text x=\"{at:.1}\" y=\"{above:.1}\" text-anchor=\"middle\" font-size=\"9\">{label}</text>"
                );
            }
            let (at, below) = (left + index as f64 * 110.0, HEIGHT - 10.0);
            let _ = writeln!(svg, "<text x=\"{at}\" y=\"{below}\" fill=\"{color}\">{name}</text>");
        }
        svg
    }
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, 0.0), |(min, max), value| (min.min(value), max.max(value)))
}

fn share(value: f64, from: f64, to: f64) -> f64 {
    if to > from { (value / from).ln() / (to / from).ln() } else { 0.5 }
}

/// Formats 10000000 as `10 M`.
fn format_tick(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{} M", value / 1e6),
        value if value >= 1e3 => format!("{} k", value / 1e3),
        value if value >= 1.0 => format!("{value:.0}"),
        value => format!("{value:.3}").trim_end_matches('0').to_owned(),
    }
}
