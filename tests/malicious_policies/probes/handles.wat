;; Creates a handle to its own resource for each byte of the learning id, then returns a rejection.
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
        (if (local.get 1)
          (then
            (drop (call $new (i32.const 1)))
            (local.set 1 (i32.sub (local.get 1) (i32.const 1)))
            (br $again))))
      (call $rejected (i32.const 403) (i32.const 2) (i32.const 2048) (i32.const 7) (i32.const 2056) (i32.const 7)))
  )
  (core instance $policy (instantiate $policy (with "host" (instance $host)) (with "things" (instance $things))))
  ;; include lift
)
