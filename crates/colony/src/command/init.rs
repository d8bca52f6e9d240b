//! `colony init`: the five-line manifest for a program that runs already.

use std::process::ExitCode;

use crate::args::Init;
use crate::failure::Failure;
use crate::terminal;

pub(crate) fn run(args: &Init) -> Result<ExitCode, Failure> {
    let text = format!(
        "name: {name}\ngateway: {{ listen: {listen} }}\nservices:\n  {name}:\n    url: {url}\n",
        name = args.name,
        listen = args.listen,
        url = args.url.trim_end_matches('/'),
    );
    let shown = args.file.display().to_string();
    let root = std::env::current_dir().map_err(|error| Failure::new(format!("cannot work here: {error}")))?;
    let base = manifest::Source { name: shown.clone(), text: text.clone() };
    let input = manifest::Input { root, base, overlays: Vec::new(), env: Default::default() };
    let checked = manifest::check(&input);
    if checked.manifest.is_none() {
        terminal::out(&checked.diagnostics.render(terminal::width(), terminal::colours()));
        return Err(Failure::new("this would not be a valid manifest; nothing was written"));
    }
    if args.file.exists() && !args.force {
        return Err(Failure::new(format!("{shown} is there already")).hint("`--force` replaces it"));
    }
    std::fs::write(&args.file, &text)
        .map_err(|error| Failure::new(format!("cannot write {shown}: {error}")))?;
    let up = if shown == "colony.yaml" { "colony up".to_owned() } else { format!("colony up {shown}") };
    terminal::out(&format!(
        "wrote {shown}\n\n{text}\n`{up}` now serves {} at http://{}\n",
        args.url, args.listen
    ));
    Ok(ExitCode::SUCCESS)
}
