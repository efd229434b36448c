//! wip
mod data;
mod lend;
mod number;
mod pump;
mod send;
mod sink;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args[1].as_str() {
        "sink" => sink::run(1).unwrap(),
        "pump" => pump::run(&args[2], &args[3]).unwrap(),
        "send" => send::run(&send::Plan { to: args[2].clone(), shape: data::Shape::named(&args[3]).unwrap(), connections: args[4].parse().unwrap(), datapoints: args[5].parse().unwrap(), every: None }).unwrap(),
        _ => panic!(),
    }
}
