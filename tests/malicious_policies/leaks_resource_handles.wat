;; Defines a resource and creates handles to it endlessly. The host stores them outside its memory.
;; Expected: sandbox error, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (type $thing (resource (rep i32)))
  (core func $new (canon resource.new $thing))
  (core instance $things (export "new" (func $new)))
  (core module $policy
    (import "things" "new" (func $new (param i32) (result i32)))
    ;; include core
    (func (export "delete-learning") (type $decide)
      (loop $again
        (drop (call $new (i32.const 1)))
        (br $again))
      unreachable)
  )
  (core instance $policy (instantiate $policy (with "host" (instance $host)) (with "things" (instance $things))))
  ;; include lift
)
