//! The commented profile that `breakpoint init` writes.

/// A profile for a service at `url`: one GET per cycle, and every key with what it does.
pub fn render(url: &str) -> String {
    let (base, path) = split(url);
    TEMPLATE.replace("@URL@", base).replace("@PATH@", path)
}

/// Splits an address into `http://host:port` and the path with its query.
pub fn split(url: &str) -> (&str, &str) {
    let authority = url.find("://").map_or(0, |at| at + 3);
    match url[authority..].find(['/', '?']) {
        Some(at) if url[authority + at..].starts_with('/') => url.split_at(authority + at),
        // `http://host?x=1` has no path to keep; the query alone is none.
        Some(at) => (&url[..authority + at], "/"),
        None => (url, "/"),
    }
}

const TEMPLATE: &str = r#"# A breakpoint profile. Run it:   breakpoint find --profile FILE
# What would be done, without sending anything:   breakpoint plan --profile FILE
# Commented-out keys show the defaults, or what else there is.

# What must hold. `p99(get)` is the latency of the step named `get`; a bare `p99` that of the main step.
# Also: p50 ... p99.9, avg, max, errors<1%, shed<5%, rps>50, and fields of monitors: service.oom_kills==0
slo = ["p99<500ms", "errors<1%"]
# excerpts = true               # false: reports show nothing of the answers of failed requests

[target]
url = "@URL@"
# ca = "ca.pem"                 # https: certificates to trust; also cert, key, insecure, server-name
# resolve = ["api.example:443:127.0.0.1"]   # where names lead
# http = "2"                    # HTTP/2; "auto": what the server chooses over TLS; 1.1 without it
# addresses = "first"           # of a name with several; VUs take all of them in turn without it
# Commands, run by `sh -c` in this file's folder:
# up = "./start.sh"             # before the first probe
# reset = "./restart.sh"        # between two probes
# down = "./stop.sh"            # at the end, also after Ctrl-C
# reset-when = "broken"         # or "always"
# up-timeout = "2m"
# reset-timeout = "2m"
# drained-when = ["service.sockets<10"]  # what monitors must read before it is reset
# drain-timeout = "30s"
# canary-cycles = 3             # cycles that must succeed before the next probe

# One virtual user (VU) repeats these steps, on its own connections.
[scenario]
main = "get"
# connections = "per-cycle"     # a new connection every cycle; "keep-alive" without it
timeout = "30s"                 # of every step without its own
# redirects = 0                 # how many redirects of one request are followed
# headers = { authorization = "Bearer {{ env.TOKEN }}" }
# vars = { id = "{{ uuid() }}" }

[[scenario.steps]]
name = "get"
get = "@PATH@"
# expect = [200]                # any 2xx without it

# Think time is never part of a latency.
[[scenario.steps]]
think = { exponential = "1s" }  # or "1s", { uniform = ["1s", "3s"] }, { lognormal = { median = "1s", sigma = 0.5 } }

# More kinds of steps:
# [[scenario.steps]]
# name = "open"
# open = "/events?user={{ vu }}"          # an event stream (SSE)
#
# [[scenario.steps]]
# name = "ask"
# post = "/questions"
# json = { id = "{{ id }}", text = "hello" }
#
# [[scenario.steps]]
# name = "answer"
# wait = { on = "open", event = "answer", match = { "/id" = "{{ id }}" }, since = "ask" }
# timeout = "10s"
#
# [[scenario.steps]]
# close = "open"

[search]
# min-vus = 1
# max-vus = 5000
# start-vus = 10
# precision = "5%"              # half-width of the interval, as a share of the breakpoint
# confidence = "95%"
# budget = "15m"                # of the search; two holds below the breakpoint follow, a tenth of it each
# hold-min = "30s"
# hold-max = "90s"
# settle-max = "60s"
# pace = 50                     # VUs started or stopped per second
# local-addr = ["127.0.0.1"]    # where connections come from, by VU in turn; the kernel chooses without it
# seed = 1

# What to monitor during the load; one of docker, pid-file, cgroup, redis, prometheus, prometheus-server each.
# This machine is always watched, as `host`.
# [[monitor]]
# name = "service"
# docker = "my-container"       # or: pid-file = "service.pid", cgroup = "/sys/fs/cgroup/my-group"
# memory-limit = "512MiB"       # for the charts, when none can be read
# restart = "dead"              # in a reset; or "bloated", "always"
# log = "service.log"           # lines that report trouble are kept; a container's own log is read by default
# log-match = '(?i)error|refused'
#
# [[monitor]]
# name = "metrics"
# prometheus = "@URL@/metrics"
# metrics = { heap = "heap_used_bytes", errors = 'http_requests_total{code="500"}' }
#
# [[monitor]]
# name = "queries"
# prometheus-server = "http://127.0.0.1:9090"
# queries = { busy = "sum(rate(process_cpu_seconds_total[1m]))" }
#
# [[monitor]]
# name = "redis"
# redis = "redis://127.0.0.1:6379"
# flush = true                  # in a reset
"#;
