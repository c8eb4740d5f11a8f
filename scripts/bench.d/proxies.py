"""nginx and haproxy, as plain proxies with kept connections on both sides."""

import os
import resource
from pathlib import Path

from certificate import self_signed
from server import Programs, Server

# As many as the runtime of the Rust servers takes threads.
WORKERS = os.cpu_count() or 1

# haproxy takes two open files for each of its connections, and some.
MAX_CONNECTIONS = min(16_384, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 200) // 2)

NGINX_CONFIGURATION = """
{user}
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections {max_connections}; }}
http {{
    access_log off;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 100m;
    client_body_buffer_size 1m;
    keepalive_requests 1000000000;
    upstream broker {{
        server 127.0.0.1:{broker_port};
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_time 1h;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096{ssl};
        {certificate}
        location / {{
            proxy_pass http://broker;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""

NGINX_CERTIFICATE = "ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.3;"

HAPROXY_CONFIGURATION = """
global
    nbthread {workers}
    maxconn {max_connections}
defaults
    mode http
    option http-keep-alive
    timeout connect 5s
    timeout client 75s
    timeout server 75s
frontend public
    bind 127.0.0.1:{port} backlog 4096
    default_backend brokers
backend brokers
    http-reuse always
    server broker 127.0.0.1:{broker_port} pool-max-conn -1
"""


class Nginx(Server):
    """`proxy_pass`, with bodies and answers in memory."""

    def __init__(self, folder: Path, programs: Programs, broker_port: int, tls: bool = False):
        super().__init__(folder)
        self.binary = programs.nginx
        self.broker_port = broker_port
        self.tls = tls

    def command(self) -> list[str]:
        configuration = self.folder / "nginx.conf"
        configuration.write_text(
            NGINX_CONFIGURATION.format(
                # Its workers must reach the temporary folder, which is the starting user's alone.
                user="user root;" if os.geteuid() == 0 else "",
                workers=WORKERS,
                max_connections=MAX_CONNECTIONS,
                folder=self.folder,
                port=self.port,
                broker_port=self.broker_port,
                ssl=" ssl" if self.tls else "",
                certificate=NGINX_CERTIFICATE.format(*self_signed(self.folder)) if self.tls else "",
            )
        )
        return [self.binary, "-p", str(self.folder), "-e", "stderr", "-c", str(configuration)]


class Haproxy(Server):
    """`http-reuse always`: any request may take any kept connection to the Broker."""

    def __init__(self, folder: Path, programs: Programs, broker_port: int):
        super().__init__(folder)
        self.binary = programs.haproxy
        self.broker_port = broker_port

    def command(self) -> list[str]:
        configuration = self.folder / "haproxy.cfg"
        configuration.write_text(
            HAPROXY_CONFIGURATION.format(
                workers=WORKERS, max_connections=MAX_CONNECTIONS, port=self.port, broker_port=self.broker_port
            )
        )
        return [self.binary, "-db", "-f", str(configuration)]
