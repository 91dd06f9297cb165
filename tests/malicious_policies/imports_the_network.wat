;; Asks for sockets. Must be refused when it is loaded, with their name.
(component
  (import "wasi:sockets/tcp@0.2.0" (instance
    (export "tcp-socket" (type (sub resource)))
  ))
)
