//! Arguments, configuration, logger, run; print the error and exit.

use gemini_openai_proxy::commands::args::{self, Command, RunOptions};
use gemini_openai_proxy::commands::{self, Failure};
use gemini_openai_proxy::os::{platform, shutdown};
use gemini_openai_proxy::serve::service::Service;
use gemini_openai_proxy::{config, logging};
use std::process::ExitCode;

fn main() -> ExitCode {
    platform::prepare();
    let result = match args::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(options)) => run(&options),
        Ok(Command::Auth(options)) => commands::auth(&options),
        Ok(Command::AuthVertex(options, file)) => commands::auth_vertex(&options, &file),
        Ok(Command::Check(options)) => commands::check(&options),
        Ok(Command::CheckAlerts(options)) => commands::check_with_alerts(&options),
        Ok(Command::Probe(probe, options)) => commands::probe(probe, &options),
        Ok(Command::Decrypt(options)) => commands::decrypt(&options),
        Ok(Command::RotateKey(options)) => commands::rotate_key(&options),
        Ok(Command::RotateStore(options)) => commands::rotate_store(&options),
        Ok(Command::Store(options)) => commands::store_word(&options),
        Ok(Command::GenerateKey) => generate_key(),
        Ok(Command::Help) => {
            print!("{}", args::HELP);
            Ok(())
        }
        Ok(Command::Version) => {
            println!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Err(message) => Err((2, format!("{}\n{}: error: {message}", args::USAGE, env!("CARGO_PKG_NAME")))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            if !message.is_empty() {
                eprintln!("{message}");
            }
            ExitCode::from(code)
        }
    }
}

fn run(options: &RunOptions) -> Result<(), Failure> {
    let wrong = |message: String| (1, message);
    let key = options.key(std::env::var(args::KEY_VARIABLE).ok()).map_err(wrong)?;
    let loaded = config::load(options.config.as_deref()).map_err(|error| wrong(error.to_string()))?;
    let mut stop = shutdown::Stop::install().map_err(|error| wrong(format!("cannot handle signals: {error}")))?;
    logging::start(loaded.config.log_level.filter(), loaded.config.log_format);
    if let Some(store) = &loaded.config.store {
        logging::name_replica(&store.replica);
    }
    for warning in loaded.notes.iter().chain(&loaded.warnings) {
        log::warn!("{warning}");
    }
    if options.encryption_key.is_some() {
        log::warn!("the encryption key was given as an argument, where `ps` shows it to every user of this machine");
    }
    let config = config::Config { encryption_key: key, ..loaded.config };
    let service = Service::start(config).map_err(|error| (error.exit_code(), error.to_string()))?;
    while stop.wait() == shutdown::Wish::Reload {
        reload(&service, options);
    }
    log::info!("Application shutdown...");
    service.stop();
    Ok(())
}

/// A file that does not read is told and changes nothing.
fn reload(service: &Service, options: &RunOptions) {
    match config::load(options.config.as_deref()) {
        Ok(loaded) => {
            loaded.notes.iter().chain(&loaded.warnings).for_each(|warning| log::warn!("{warning}"));
            service.reload(&loaded.config);
        }
        Err(error) => log::error!("config: not reloaded: {error}"),
    }
}

fn generate_key() -> Result<(), Failure> {
    let key = args::new_key();
    println!("{}\n{key}", args::KEY_SENTENCE);
    Ok(())
}
