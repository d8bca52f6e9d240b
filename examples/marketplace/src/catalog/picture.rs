//! Product pictures, drawn: a shape from the list below in the colours of a tone.
//!
//! Shapes stand on a ground line at y = 168 of a 200 x 200 field. `@a` is the tone's own colour, `@b`
//! a darker and `@c` a lighter one.

use serde::Deserialize;

/// A family of four colours.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// Terracotta.
    Rust,
    /// Mustard.
    Ochre,
    /// Grey green.
    Sage,
    /// Deep blue green.
    Sea,
    /// Night blue.
    Ink,
    /// Red wine.
    Plum,
    /// Undyed linen.
    Sand,
    /// Forest green.
    Moss,
    /// Dusty pink.
    Rose,
    /// Pale blue.
    Sky,
    /// Soot.
    Coal,
    /// Oiled wood.
    Oak,
}

impl Tone {
    /// Background, own colour, darker, lighter.
    fn colours(self) -> [&'static str; 4] {
        match self {
            Tone::Rust => ["#f6e3d7", "#c0593a", "#94402a", "#e79a78"],
            Tone::Ochre => ["#f8ecd0", "#d9a032", "#a97717", "#f2cf85"],
            Tone::Sage => ["#e6ecdf", "#8aa17c", "#65795a", "#bccbb1"],
            Tone::Sea => ["#dcebea", "#2f7f82", "#1f5b5e", "#7fbab8"],
            Tone::Ink => ["#e0e5ef", "#344a73", "#223252", "#8497bf"],
            Tone::Plum => ["#f0e0e6", "#83405a", "#5e2a3f", "#c08aa0"],
            Tone::Sand => ["#f4ece0", "#cbb595", "#a58d6a", "#e9dcc5"],
            Tone::Moss => ["#e3eadc", "#4f7043", "#385230", "#93b084"],
            Tone::Rose => ["#f9e6e3", "#d98c85", "#b2635d", "#f2c2bc"],
            Tone::Sky => ["#e2eef5", "#6fa3c4", "#4a7c9c", "#b2d2e5"],
            Tone::Coal => ["#e9e7e4", "#4a4744", "#2e2c2a", "#8d8984"],
            Tone::Oak => ["#f3e7d8", "#b07d4b", "#855a31", "#d9b48a"],
        }
    }
}

/// The SVG of a shape; None if there is no such shape.
pub fn draw(shape: &str, tone: Tone) -> Option<String> {
    let [ground, own, dark, light] = tone.colours();
    let (_, body) = SHAPES.iter().find(|(name, _)| *name == shape)?;
    let body = body.replace("@a", own).replace("@b", dark).replace("@c", light);
    Some(format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 200 200'><rect width='200' height='200' fill='{ground}'/>\
         <ellipse cx='100' cy='168' rx='62' ry='7' fill='{dark}' opacity='.18'/>{body}</svg>"
    ))
}

const SHAPES: &[(&str, &str)] = &[
    (
        "mug",
        "<path d='M138 92h10a22 22 0 0 1 0 44h-12' fill='none' stroke='@b' stroke-width='9'/><path d='M58 76h82v72a20 20 0 0 1-20 20H78a20 20 0 0 1-20-20z' fill='@a'/><path d='M58 76h82v16H58z' fill='@c'/><path d='M70 104v42' stroke='@c' stroke-width='5' stroke-linecap='round' opacity='.6'/>",
    ),
    (
        "cup",
        "<ellipse cx='100' cy='164' rx='58' ry='8' fill='@c'/><path d='M134 112a15 15 0 1 1-6 30' fill='none' stroke='@b' stroke-width='7'/><path d='M62 102h76c0 36-14 58-38 58s-38-22-38-58z' fill='@a'/><ellipse cx='100' cy='102' rx='38' ry='8' fill='@b'/>",
    ),
    (
        "teapot",
        "<path d='M142 108c20-2 20-24 34-28' fill='none' stroke='@a' stroke-width='12' stroke-linecap='round'/><path d='M60 100c-34-10-34 44 2 42' fill='none' stroke='@b' stroke-width='9'/><path d='M52 126c0-30 22-46 50-46s50 16 50 46c0 24-14 42-50 42s-50-18-50-42z' fill='@a'/><path d='M76 86c4-12 48-12 52 0z' fill='@b'/><circle cx='102' cy='70' r='7' fill='@b'/><path d='M68 122c2-12 8-20 18-24' fill='none' stroke='@c' stroke-width='5' stroke-linecap='round'/>",
    ),
    (
        "press",
        "<path d='M136 84h14a8 8 0 0 1 8 8v44a8 8 0 0 1-8 8h-14' fill='none' stroke='@b' stroke-width='8'/><path d='M66 62h70v106H66z' fill='@c' opacity='.75'/><path d='M66 104h70v64H66z' fill='@a'/><path d='M60 56h84v12H60zM66 160h70v8H66z' fill='@b'/><path d='M101 30v28' stroke='@b' stroke-width='5'/><circle cx='101' cy='30' r='8' fill='@a'/>",
    ),
    (
        "kettle",
        "<path d='M62 84a40 36 0 0 1 78 0' fill='none' stroke='@b' stroke-width='9'/><path d='M146 116l26-26' stroke='@b' stroke-width='12' stroke-linecap='round'/><path d='M64 92h74l14 64a10 10 0 0 1-10 12H60a10 10 0 0 1-10-12z' fill='@a'/><path d='M72 92a29 12 0 0 1 58 0z' fill='@c'/><circle cx='101' cy='78' r='6' fill='@b'/><path d='M72 112l-7 36' stroke='@c' stroke-width='5' stroke-linecap='round'/>",
    ),
    (
        "tin",
        "<rect x='62' y='64' width='76' height='104' rx='8' fill='@a'/><rect x='58' y='52' width='84' height='24' rx='6' fill='@b'/><rect x='76' y='98' width='48' height='42' rx='4' fill='@c'/><path d='M86 112h28M86 124h18' stroke='@b' stroke-width='4' stroke-linecap='round'/>",
    ),
    (
        "grinder",
        "<path d='M100 46v-14h40' fill='none' stroke='@b' stroke-width='6' stroke-linejoin='round'/><circle cx='142' cy='32' r='9' fill='@a'/><path d='M70 78a30 32 0 0 1 60 0z' fill='@c'/><rect x='62' y='78' width='76' height='90' rx='6' fill='@a'/><rect x='76' y='112' width='48' height='38' rx='4' fill='@b'/><circle cx='100' cy='131' r='5' fill='@c'/>",
    ),
    (
        "pan",
        "<path d='M128 132l52-22' stroke='@b' stroke-width='12' stroke-linecap='round'/><path d='M26 124h112c0 30-12 44-30 44H56c-18 0-30-14-30-44z' fill='@a'/><ellipse cx='82' cy='124' rx='56' ry='11' fill='@b'/><ellipse cx='82' cy='125' rx='44' ry='7' fill='@c' opacity='.4'/>",
    ),
    (
        "pot",
        "<path d='M46 110h-14v14h14M154 110h14v14h-14' fill='none' stroke='@b' stroke-width='8' stroke-linejoin='round'/><path d='M46 98h108v54a16 16 0 0 1-16 16H62a16 16 0 0 1-16-16z' fill='@a'/><path d='M44 98c4-24 28-32 56-32s52 8 56 32z' fill='@c'/><circle cx='100' cy='60' r='9' fill='@b'/><path d='M60 116v32' stroke='@c' stroke-width='5' stroke-linecap='round' opacity='.7'/>",
    ),
    (
        "knife",
        "<g transform='rotate(38 100 100)'><path d='M92 14c18 22 22 62 18 104H88z' fill='#a9a5a0'/><path d='M92 14c4 30 4 70-4 104h8c6-40 6-74-4-104z' fill='#fff' opacity='.5'/><rect x='84' y='116' width='28' height='8' fill='@b'/><rect x='86' y='124' width='24' height='62' rx='9' fill='@a'/><circle cx='98' cy='142' r='3' fill='@c'/><circle cx='98' cy='164' r='3' fill='@c'/></g>",
    ),
    (
        "board",
        "<rect x='56' y='60' width='88' height='108' rx='14' fill='@a'/><rect x='88' y='28' width='24' height='44' rx='12' fill='@a'/><circle cx='100' cy='42' r='5' fill='@c'/><path d='M72 82v70M92 78v80M116 84v66M130 92v48' stroke='@b' stroke-width='2.5' stroke-linecap='round' opacity='.55'/>",
    ),
    (
        "bowl",
        "<path d='M78 156h44v12H78z' fill='@b'/><path d='M36 100h128c0 40-26 60-64 60s-64-20-64-60z' fill='@a'/><ellipse cx='100' cy='100' rx='64' ry='12' fill='@b'/><ellipse cx='100' cy='102' rx='54' ry='8' fill='@c'/><path d='M50 122c4 12 12 20 22 24' fill='none' stroke='@c' stroke-width='5' stroke-linecap='round'/>",
    ),
    (
        "spoon",
        "<g transform='rotate(28 100 100)'><ellipse cx='82' cy='58' rx='19' ry='28' fill='@a'/><ellipse cx='82' cy='56' rx='12' ry='19' fill='@c'/><rect x='78' y='82' width='8' height='96' rx='4' fill='@a'/></g><g transform='rotate(-6 130 100)'><path d='M116 34h28l-3 52h-22z' fill='@b'/><path d='M123 42v34M130 42v34M137 42v34' stroke='@c' stroke-width='3'/><rect x='126' y='84' width='8' height='84' rx='4' fill='@b'/></g>",
    ),
    (
        "jar",
        "<path d='M64 76c0-8 6-12 12-12h48c6 0 12 4 12 12v80a12 12 0 0 1-12 12H76a12 12 0 0 1-12-12z' fill='@c'/><path d='M64 108h72v48a12 12 0 0 1-12 12H76a12 12 0 0 1-12-12z' fill='@a'/><rect x='70' y='44' width='60' height='22' rx='6' fill='@b'/><rect x='82' y='118' width='36' height='28' rx='3' fill='#fff' opacity='.8'/>",
    ),
    (
        "plate",
        "<circle cx='100' cy='104' r='66' fill='@a'/><circle cx='100' cy='104' r='58' fill='@c'/><circle cx='100' cy='104' r='42' fill='@a' opacity='.45'/><path d='M66 92a38 38 0 0 1 24-22' fill='none' stroke='#fff' stroke-width='5' stroke-linecap='round' opacity='.7'/>",
    ),
    (
        "glass",
        "<path d='M64 48h72l-10 112a8 8 0 0 1-8 8H82a8 8 0 0 1-8-8z' fill='@c' opacity='.6'/><path d='M68 92h64l-6 68a8 8 0 0 1-8 8H82a8 8 0 0 1-8-8z' fill='@a'/><path d='M78 60l6 86' stroke='#fff' stroke-width='5' stroke-linecap='round' opacity='.7'/>",
    ),
    (
        "carafe",
        "<path d='M84 36h32v36c0 14 26 26 26 62 0 24-14 34-42 34s-42-10-42-34c0-36 26-48 26-62z' fill='@c' opacity='.7'/><path d='M62 118h76c3 6 4 12 4 18 0 22-14 32-42 32s-42-10-42-32c0-6 1-12 4-18z' fill='@a'/><rect x='80' y='30' width='40' height='10' rx='5' fill='@b'/><path d='M74 112c-6 12-6 28 2 38' fill='none' stroke='#fff' stroke-width='5' stroke-linecap='round' opacity='.6'/>",
    ),
    (
        "cutlery",
        "<path d='M62 34v34a12 12 0 0 0 24 0V34M74 34v128' fill='none' stroke='@a' stroke-width='7' stroke-linecap='round'/><path d='M112 34v128' stroke='@b' stroke-width='8' stroke-linecap='round'/><path d='M112 34c16 8 18 44 0 62z' fill='@b'/><ellipse cx='146' cy='52' rx='12' ry='19' fill='@a'/><path d='M146 66v96' stroke='@a' stroke-width='7' stroke-linecap='round'/>",
    ),
    (
        "lamp",
        "<path d='M100 96v56' stroke='@b' stroke-width='9'/><path d='M64 168c0-12 16-18 36-18s36 6 36 18z' fill='@b'/><path d='M74 36h52l22 66H52z' fill='@a'/><path d='M74 36h16L72 102H52z' fill='@c' opacity='.7'/><path d='M62 102h76l14 30H48z' fill='#ffd98a' opacity='.35'/>",
    ),
    (
        "pendant",
        "<path d='M100 0v56' stroke='@b' stroke-width='4'/><rect x='90' y='50' width='20' height='20' rx='4' fill='@b'/><path d='M42 122c0-34 26-54 58-54s58 20 58 54z' fill='@a'/><path d='M58 112c4-20 14-30 28-34' fill='none' stroke='@c' stroke-width='6' stroke-linecap='round'/><path d='M82 122a18 16 0 0 0 36 0z' fill='#ffd98a'/><path d='M52 128h96l18 40H34z' fill='#ffd98a' opacity='.3'/>",
    ),
    (
        "candle",
        "<path d='M100 34c14 18 14 34 0 38-14-4-14-20 0-38z' fill='#f4b24a'/><path d='M100 68v14' stroke='@b' stroke-width='4'/><rect x='66' y='80' width='68' height='88' rx='10' fill='@a'/><ellipse cx='100' cy='84' rx='34' ry='8' fill='@c'/><rect x='66' y='116' width='68' height='30' fill='@b' opacity='.55'/>",
    ),
    (
        "lantern",
        "<path d='M76 52a24 24 0 0 1 48 0' fill='none' stroke='@b' stroke-width='6'/><path d='M70 64l14-18h32l14 18zM60 156h80v12H60z' fill='@b'/><rect x='66' y='64' width='68' height='92' fill='#ffe6ad'/><path d='M66 64v92M134 64v92M100 64v92' stroke='@a' stroke-width='7'/><path d='M100 96c10 13 10 25 0 28-10-3-10-15 0-28z' fill='#f0a13a'/>",
    ),
    (
        "cushion",
        "<path d='M44 62c20 8 92 8 112 0 12-4 16 4 12 14-8 22-8 56 0 78 4 10 0 18-12 14-20-8-92-8-112 0-12 4-16-4-12-14 8-22 8-56 0-78-4-10 0-18 12-14z' fill='@a'/><path d='M64 66c-4 30-4 66 0 98M100 68v96M136 66c4 30 4 66 0 98' fill='none' stroke='@c' stroke-width='5' opacity='.75'/>",
    ),
    (
        "throw",
        "<rect x='40' y='132' width='120' height='36' rx='16' fill='@b'/><rect x='40' y='104' width='120' height='36' rx='16' fill='@a'/><rect x='40' y='76' width='120' height='36' rx='16' fill='@c'/><path d='M68 76v92M80 76v92' stroke='#fff' stroke-width='4' opacity='.45'/><path d='M44 168v10M56 168v10M144 168v10M156 168v10' stroke='@b' stroke-width='3'/>",
    ),
    (
        "rug",
        "<path d='M44 56h112l18 104H26z' fill='@a'/><path d='M54 72h92l12 72H42z' fill='none' stroke='@c' stroke-width='5'/><path d='M100 82l30 26-30 26-30-26z' fill='@b'/><path d='M100 94l16 14-16 14-16-14z' fill='@c'/><path d='M30 160v10M50 160v10M70 160v10M90 160v10M110 160v10M130 160v10M150 160v10M170 160v10' stroke='@b' stroke-width='4'/>",
    ),
    (
        "towel",
        "<path d='M30 44h140' stroke='@b' stroke-width='8' stroke-linecap='round'/><path d='M58 44h62v116H58z' fill='@a'/><path d='M120 44h24v92h-24z' fill='@b'/><path d='M58 122h62M58 134h62' stroke='@c' stroke-width='6'/><path d='M62 160v8M74 160v8M86 160v8M98 160v8M110 160v8' stroke='@a' stroke-width='3'/>",
    ),
    (
        "plant",
        "<path d='M100 118c-4-30-30-40-46-36 2 22 20 38 46 36zM100 110c2-40 26-54 46-52 0 26-18 50-46 52zM98 104c-14-22-8-52 6-66 14 18 14 48-6 66z' fill='#5f8a52'/><path d='M100 124c-2-30 0-58 4-80M100 118c-14-16-28-26-42-34M100 112c12-22 26-38 42-50' fill='none' stroke='#3f6337' stroke-width='3'/><path d='M64 116h72l-9 46a8 8 0 0 1-8 6H81a8 8 0 0 1-8-6z' fill='@a'/><path d='M60 108h80v16H60z' fill='@b'/>",
    ),
    (
        "cactus",
        "<path d='M84 116V70a16 16 0 0 1 32 0v46z' fill='#6b9460'/><path d='M116 96h8a10 10 0 0 0 10-10V76M84 90h-6a10 10 0 0 1-10-10v-6' fill='none' stroke='#6b9460' stroke-width='13' stroke-linecap='round'/><path d='M94 68v42M106 68v42' stroke='#456a3d' stroke-width='3' stroke-dasharray='4 6'/><circle cx='100' cy='52' r='7' fill='#e8836f'/><path d='M66 116h68l-8 46a8 8 0 0 1-8 6H82a8 8 0 0 1-8-6z' fill='@a'/><path d='M66 116h68l-3 14H69z' fill='@c'/>",
    ),
    (
        "can",
        "<path d='M58 104a36 40 0 0 1 58-18' fill='none' stroke='@b' stroke-width='8'/><path d='M122 140l46-52' stroke='@b' stroke-width='10'/><path d='M154 76l26 24' stroke='@b' stroke-width='9' stroke-linecap='round'/><path d='M50 100h78v58a10 10 0 0 1-10 10H60a10 10 0 0 1-10-10z' fill='@a'/><path d='M50 100h78v12H50z' fill='@c'/>",
    ),
    (
        "planter",
        "<path d='M52 84h96l-12 76a10 10 0 0 1-10 8H74a10 10 0 0 1-10-8z' fill='@a'/><rect x='44' y='68' width='112' height='24' rx='6' fill='@b'/><path d='M72 108l6 44' stroke='@c' stroke-width='6' stroke-linecap='round'/><ellipse cx='100' cy='70' rx='46' ry='6' fill='#5b4636'/>",
    ),
    (
        "trowel",
        "<g transform='rotate(36 100 100)'><path d='M78 96c0-8 44-8 44 0 2 34-6 62-22 82-16-20-24-48-22-82z' fill='@c'/><path d='M100 96v60' stroke='@b' stroke-width='3'/><path d='M100 92V68' stroke='@b' stroke-width='8'/><rect x='88' y='14' width='24' height='58' rx='11' fill='@a'/></g>",
    ),
    (
        "soap",
        "<rect x='40' y='112' width='120' height='56' rx='20' fill='@a'/><rect x='40' y='104' width='120' height='50' rx='20' fill='@c'/><path d='M76 130h48' stroke='@b' stroke-width='6' stroke-linecap='round'/><circle cx='132' cy='78' r='14' fill='#fff' opacity='.75'/><circle cx='108' cy='62' r='9' fill='#fff' opacity='.75'/><circle cx='142' cy='48' r='6' fill='#fff' opacity='.75'/>",
    ),
    (
        "bottle",
        "<path d='M92 34h24l12-6v12h-24' fill='@b'/><rect x='90' y='34' width='20' height='34' fill='@b'/><path d='M62 90c0-14 12-24 26-24h24c14 0 26 10 26 24v66a12 12 0 0 1-12 12H74a12 12 0 0 1-12-12z' fill='@a'/><rect x='76' y='100' width='48' height='44' rx='4' fill='@c'/><path d='M86 114h28M86 126h20' stroke='@b' stroke-width='4' stroke-linecap='round'/>",
    ),
    (
        "brush",
        "<g transform='rotate(-34 100 100)'><rect x='20' y='82' width='84' height='18' rx='9' fill='@a'/><rect x='94' y='74' width='78' height='30' rx='14' fill='@a'/><path d='M102 104h62l-4 30h-54z' fill='@c'/><path d='M112 104v28M124 104v30M136 104v30M148 104v28' stroke='@b' stroke-width='3'/><circle cx='34' cy='91' r='4' fill='@c'/></g>",
    ),
    (
        "notebook",
        "<rect x='54' y='38' width='96' height='130' rx='8' fill='@b'/><rect x='50' y='34' width='96' height='130' rx='8' fill='@a'/><path d='M66 34v130' stroke='@b' stroke-width='5'/><rect x='82' y='62' width='48' height='28' rx='3' fill='@c'/><path d='M134 34v130' stroke='@c' stroke-width='4' opacity='.8'/>",
    ),
    (
        "pen",
        "<g transform='rotate(40 100 100)'><rect x='89' y='18' width='22' height='112' rx='8' fill='@a'/><rect x='89' y='84' width='22' height='8' fill='@c'/><path d='M90 130h20l-10 44z' fill='@c'/><path d='M97 160h6l-3 14z' fill='@b'/><path d='M111 28h8v40' fill='none' stroke='@b' stroke-width='5'/></g>",
    ),
    (
        "tray",
        "<path d='M78 96l-10-62M100 96V26M122 96l12-58' stroke='@b' stroke-width='9' stroke-linecap='round'/><path d='M94 26l6-14 6 14z' fill='@c'/><path d='M60 90h80l-6 70a8 8 0 0 1-8 8H74a8 8 0 0 1-8-8z' fill='@a'/><path d='M61 106h78' stroke='@c' stroke-width='6'/>",
    ),
    (
        "clock",
        "<path d='M62 150l-10 18M138 150l10 18' stroke='@b' stroke-width='8' stroke-linecap='round'/><circle cx='100' cy='106' r='58' fill='@a'/><circle cx='100' cy='106' r='46' fill='#fffaf2'/><path d='M100 76v30l22 12' fill='none' stroke='@b' stroke-width='6' stroke-linecap='round' stroke-linejoin='round'/><path d='M100 66v6M100 140v6M60 106h6M134 106h6' stroke='@c' stroke-width='5' stroke-linecap='round'/>",
    ),
    (
        "book",
        "<path d='M52 140h96v28H60a10 10 0 0 1-8-10z' fill='@c'/><path d='M52 150V50a12 12 0 0 1 12-12h84v112H64a12 12 0 0 0-12 10z' fill='@a'/><path d='M70 38v112' stroke='@b' stroke-width='4'/><path d='M86 70h44M86 84h30' stroke='@c' stroke-width='6' stroke-linecap='round'/><path d='M62 160h86' stroke='#fff' stroke-width='5' opacity='.8'/>",
    ),
    (
        "tote",
        "<path d='M76 84V62a24 26 0 0 1 48 0v22' fill='none' stroke='@b' stroke-width='8'/><path d='M50 82h100l8 78a8 8 0 0 1-8 8H50a8 8 0 0 1-8-8z' fill='@a'/><path d='M48 100h104' stroke='@c' stroke-width='4' stroke-dasharray='8 6'/><circle cx='100' cy='132' r='15' fill='@c'/>",
    ),
    (
        "backpack",
        "<path d='M84 52a16 16 0 0 1 32 0' fill='none' stroke='@b' stroke-width='7'/><path d='M54 92c0-26 18-40 46-40s46 14 46 40v62a14 14 0 0 1-14 14H68a14 14 0 0 1-14-14z' fill='@a'/><rect x='68' y='112' width='64' height='44' rx='10' fill='@b'/><path d='M68 126h64' stroke='@c' stroke-width='4'/><path d='M100 122v14' stroke='@c' stroke-width='5' stroke-linecap='round'/><path d='M72 88h56' stroke='@c' stroke-width='5' stroke-linecap='round'/>",
    ),
    (
        "pouch",
        "<path d='M44 92h112v62a14 14 0 0 1-14 14H58a14 14 0 0 1-14-14z' fill='@a'/><path d='M40 78h120v20H40z' fill='@b'/><path d='M48 88h96' stroke='@c' stroke-width='4' stroke-dasharray='5 4'/><path d='M148 88l12 26' stroke='@c' stroke-width='6' stroke-linecap='round'/>",
    ),
    (
        "umbrella",
        "<path d='M100 60v92a14 14 0 0 1-28 0' fill='none' stroke='@b' stroke-width='7' stroke-linecap='round'/><path d='M26 104a74 68 0 0 1 148 0c-10-12-28-12-37 0-10-12-28-12-37 0-10-12-28-12-37 0-9-12-27-12-37 0z' fill='@a'/><path d='M63 104c4-34 20-58 37-68 17 10 33 34 37 68-10-12-28-12-37 0-10-12-28-12-37 0z' fill='@c'/><path d='M100 28v10' stroke='@b' stroke-width='6' stroke-linecap='round'/>",
    ),
    (
        "blocks",
        "<rect x='36' y='108' width='60' height='60' rx='6' fill='@a'/><rect x='104' y='108' width='60' height='60' rx='6' fill='@b'/><path d='M70 106l30-56 30 56z' fill='@c'/><circle cx='66' cy='138' r='15' fill='@c'/><path d='M120 138h28M134 124v28' stroke='@c' stroke-width='9' stroke-linecap='round'/>",
    ),
    (
        "train",
        "<path d='M118 62h38v72h-38z' fill='@b'/><path d='M112 50h50v14h-50z' fill='@a'/><rect x='126' y='76' width='22' height='22' rx='3' fill='#fff6e0'/><path d='M36 92h84v44H36z' fill='@a'/><path d='M50 66h20l-4 28H54z' fill='@b'/><circle cx='56' cy='150' r='18' fill='@b'/><circle cx='98' cy='150' r='18' fill='@b'/><circle cx='142' cy='150' r='18' fill='@a'/><g fill='@c'><circle cx='56' cy='150' r='7'/><circle cx='98' cy='150' r='7'/><circle cx='142' cy='150' r='7'/></g>",
    ),
    (
        "kite",
        "<path d='M104 20l50 58-50 66-48-66z' fill='@a'/><path d='M104 20l50 58h-50zM56 78h48v66z' fill='@c'/><path d='M104 20v124M56 78h98' stroke='@b' stroke-width='3'/><path d='M104 144c-18 10 10 18-8 34' fill='none' stroke='@b' stroke-width='4'/><path d='M90 156l16 6M92 174l14-4' stroke='@a' stroke-width='8' stroke-linecap='round'/>",
    ),
    (
        "puzzle",
        "<path d='M44 64h40c-8-20 32-20 24 0h44v40c20-8 20 32 0 24v40H44v-40c20 8 20-32 0-24z' fill='@a'/><path d='M98 66v34c16-6 16 26 0 20v46M46 116h26c-6 14 26 14 20 0' fill='none' stroke='@c' stroke-width='5'/>",
    ),
    (
        "ball",
        "<circle cx='100' cy='110' r='58' fill='@a'/><path d='M100 52c-34 32-34 84 0 116 34-32 34-84 0-116z' fill='@c'/><path d='M100 52c-14 34-14 82 0 116 14-34 14-82 0-116z' fill='@b'/><circle cx='100' cy='58' r='7' fill='#fff8ea'/><path d='M58 92c4-10 10-17 18-22' fill='none' stroke='#fff' stroke-width='5' stroke-linecap='round' opacity='.6'/>",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_drawn_in_real_colours() {
        for (shape, _) in SHAPES {
            let svg = draw(shape, Tone::Sea).expect("a known shape");
            assert!(svg.ends_with("</svg>") && !svg.contains('@') && !svg.contains('"'), "{shape}");
        }
        assert!(draw("dodo", Tone::Sea).is_none());
    }
}
