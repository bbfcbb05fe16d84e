;; A detector written by hand, for tests of the host: it counts the points of each group and answers the count so far as
;; the score, so that a test can tell whether state survived. Values far out make it misbehave:
;;   666 traps, 777 spins, 888 answers columns of unequal length, 999 answers a failure, 555 recurses without end,
;;   444 asks for more memory until it is refused and then traps.
;; State of a group: its count, 8 bytes, at 4096 + 8 × group; groups below 512.
(module
  (import "[export]tandem:plugin/detector@1.0.0" "[resource-new]watch" (func $new (param i32) (result i32)))
  (memory (export "memory") 4)
  (global $top (mut i32) (i32.const 131072))

  (data (i32.const 1024) "detector-by-hand")
  (data (i32.const 1056) "@VERSION@")
  (data (i32.const 1088) "Counts points.")
  (data (i32.const 1120) "asked to fail")
  (data (i32.const 1152) "written by another version")
  (data (i32.const 1200) "@SCHEMA@")

  (func $realloc (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
    (global.set $top (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $top) (i32.mul (memory.size) (i32.const 65536)))
      (then
        (if (i32.eq (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 2))) (i32.const -1))
          (then (unreachable)))))
    (local.get $at))

  (func $reset (global.set $top (i32.const 131072)))
  (func (export "cabi_post_tandem:plugin/detector@1.0.0#[method]watch.observe") (param i32) (call $reset))
  (func (export "cabi_post_tandem:plugin/detector@1.0.0#[method]watch.snapshot") (param i32) (call $reset))
  (func (export "cabi_post_tandem:plugin/detector@1.0.0#[method]watch.join") (param i32) (call $reset))
  (func (export "cabi_post_tandem:plugin/detector@1.0.0#[method]watch.leave") (param i32) (call $reset))

  (func (export "tandem:plugin/about@1.0.0#describe") (result i32)
    (i32.store (i32.const 512) (i32.const 1024)) (i32.store (i32.const 516) (i32.const 16))
    (i32.store (i32.const 520) (i32.const 1056)) (i32.store (i32.const 524) (i32.const @VERSION_LENGTH@))
    (i32.store (i32.const 528) (i32.const 1088)) (i32.store (i32.const 532) (i32.const 14))
    (i32.store (i32.const 536) (i32.const 1200)) (i32.store (i32.const 540) (i32.const @SCHEMA_LENGTH@))
    (i32.store (i32.const 544) (i32.const 0)) (i32.store (i32.const 548) (i32.const 0))
    (i32.store (i32.const 552) (i32.const 0)) (i32.store (i32.const 556) (i32.const 0))
    @DESCRIBE@
    (i32.const 512))

  (func $opened (result i32)
    (i32.store (i32.const 640) (i32.const 0))
    (i32.store (i32.const 644) (call $new (i32.const 1)))
    (call $reset)
    (i32.const 640))

  (func $failed (param $code i32) (param $text i32) (param $length i32) (result i32)
    (i32.store (i32.const 640) (i32.const 1))
    (i32.store (i32.const 644) (local.get $code))
    (i32.store (i32.const 648) (local.get $text))
    (i32.store (i32.const 652) (local.get $length))
    (i32.store (i32.const 656) (i32.const 0))
    (i32.const 640))

  (func $fine (result i32)
    (i32.store (i32.const 640) (i32.const 0))
    (i32.const 640))

  (func (export "tandem:plugin/detector@1.0.0#open") (param i32 i32) (result i32) (call $opened))

  ;; A state of other than 8 bytes is of another version and refused.
  (func (export "tandem:plugin/detector@1.0.0#restore")
    (param $config i32) (param $config_length i32) (param $groups i32) (param $group_count i32)
    (param $states i32) (param $state_count i32) (result i32)
    (local $i i32) (local $entry i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $state_count)))
        (local.set $entry (i32.add (local.get $states) (i32.mul (local.get $i) (i32.const 12))))
        (if (i32.ne (i32.load offset=8 (local.get $entry)) (i32.const 8))
          (then (return (call $failed (i32.const 4) (i32.const 1152) (i32.const 26)))))
        (i64.store
          (call $place (i32.load (local.get $entry)))
          (i64.load (i32.load offset=4 (local.get $entry))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (call $opened))

  (func $place (param $group i32) (result i32)
    (i32.add (i32.const 4096) (i32.mul (i32.and (local.get $group) (i32.const 511)) (i32.const 8))))

  (func (export "tandem:plugin/detector@1.0.0#[method]watch.join")
    (param $watch i32) (param $groups i32) (param $group_count i32) (param $history i32) (param $history_count i32)
    (result i32)
    (local $i i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $group_count)))
        (i64.store (call $place (i32.load (i32.add (local.get $groups) (i32.mul (local.get $i) (i32.const 12))))) (i64.const 0))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    ;; History counts too, and may hold what makes it trap.
    (drop (call $count_all (local.get $history) (local.get $history_count)))
    (call $fine))

  (func (export "tandem:plugin/detector@1.0.0#[method]watch.leave") (param i32 i32 i32) (result i32) (call $fine))

  (func $endless (param i32) (result i32) (i32.add (call $endless (local.get 0)) (i32.const 1)))

  ;; Does what a value asks for; answers 1 for a lie, 2 for a failure.
  (func $misbehave (param $value f64) (result i32)
    (if (f64.eq (local.get $value) (f64.const 666)) (then (unreachable)))
    (if (f64.eq (local.get $value) (f64.const 777)) (then (loop $forever (br $forever))))
    (if (f64.eq (local.get $value) (f64.const 555)) (then (drop (call $endless (i32.const 0)))))
    (if (f64.eq (local.get $value) (f64.const 444))
      (then
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        (unreachable)))
    (if (f64.eq (local.get $value) (f64.const 888)) (then (return (i32.const 1))))
    (if (f64.eq (local.get $value) (f64.const 999)) (then (return (i32.const 2))))
    (i32.const 0))

  ;; Counts the points of frames (20 bytes each: group, at pointer and length, value pointer and length).
  (func $count_all (param $frames i32) (param $count i32) (result i32)
    (local $i i32) (local $frame i32) (local $v i32) (local $place i32) (local $worst i32) (local $said i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
        (local.set $frame (i32.add (local.get $frames) (i32.mul (local.get $i) (i32.const 20))))
        (local.set $v (i32.const 0))
        (block $read
          (loop $value
            (br_if $read (i32.ge_u (local.get $v) (i32.load offset=16 (local.get $frame))))
            (local.set $said
              (call $misbehave
                (f64.load (i32.add (i32.load offset=12 (local.get $frame)) (i32.shl (local.get $v) (i32.const 3))))))
            (if (i32.gt_u (local.get $said) (local.get $worst)) (then (local.set $worst (local.get $said))))
            (local.set $v (i32.add (local.get $v) (i32.const 1)))
            (br $value)))
        (local.set $place (call $place (i32.load (local.get $frame))))
        (i64.store (local.get $place)
          (i64.add (i64.load (local.get $place)) (i64.extend_i32_u (i32.load offset=8 (local.get $frame)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (local.get $worst))

  ;; Answers per frame one scores record (48 bytes): group, at, score, low, high, attributions, warming.
  (func (export "tandem:plugin/detector@1.0.0#[method]watch.observe")
    (param $watch i32) (param $frames i32) (param $count i32) (result i32)
    (local $i i32) (local $frame i32) (local $said i32) (local $records i32) (local $record i32)
    (local $points i32) (local $column i32) (local $p i32) (local $before f64)
    (local.set $records (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.mul (local.get $count) (i32.const 48))))
    ;; The counts before, so that every point gets its own.
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
        (local.set $frame (i32.add (local.get $frames) (i32.mul (local.get $i) (i32.const 20))))
        (local.set $record (i32.add (local.get $records) (i32.mul (local.get $i) (i32.const 48))))
        (local.set $points (i32.load offset=8 (local.get $frame)))
        (local.set $column
          (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.shl (local.get $points) (i32.const 3))))
        (local.set $before (f64.convert_i64_s (i64.load (call $place (i32.load (local.get $frame))))))
        (local.set $p (i32.const 0))
        (block $filled
          (loop $fill
            (br_if $filled (i32.ge_u (local.get $p) (local.get $points)))
            (local.set $before (f64.add (local.get $before) (f64.const 1)))
            (f64.store (i32.add (local.get $column) (i32.shl (local.get $p) (i32.const 3))) (local.get $before))
            (local.set $p (i32.add (local.get $p) (i32.const 1)))
            (br $fill)))
        (local.set $said (call $count_all (local.get $frame) (i32.const 1)))
        (if (i32.eq (local.get $said) (i32.const 2))
          (then (return (call $failed (i32.const 2) (i32.const 1120) (i32.const 13)))))
        (i32.store (local.get $record) (i32.load (local.get $frame)))
        (i32.store offset=4 (local.get $record) (i32.load offset=4 (local.get $frame)))
        (i32.store offset=8 (local.get $record) (local.get $points))
        (i32.store offset=12 (local.get $record) (local.get $column))
        (i32.store offset=16 (local.get $record) (i32.sub (local.get $points) (i32.eq (local.get $said) (i32.const 1))))
        (i32.store offset=20 (local.get $record) (i32.const 0)) (i32.store offset=24 (local.get $record) (i32.const 0))
        (i32.store offset=28 (local.get $record) (i32.const 0)) (i32.store offset=32 (local.get $record) (i32.const 0))
        (i32.store offset=36 (local.get $record) (i32.const 0)) (i32.store offset=40 (local.get $record) (i32.const 0))
        (i32.store offset=44 (local.get $record) (i32.const 0))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (i32.store (i32.const 640) (i32.const 0))
    (i32.store (i32.const 644) (local.get $records))
    (i32.store (i32.const 648) (local.get $count))
    (i32.store (i32.const 652) (i32.const 0))
    (i32.store (i32.const 656) (i32.const 0))
    (i32.const 640))

  (func (export "tandem:plugin/detector@1.0.0#[method]watch.snapshot")
    (param $watch i32) (param $groups i32) (param $count i32) (result i32)
    (local $i i32) (local $records i32) (local $record i32) (local $group i32)
    (local.set $records (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.mul (local.get $count) (i32.const 12))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
        (local.set $group (i32.load (i32.add (local.get $groups) (i32.shl (local.get $i) (i32.const 2)))))
        (local.set $record (i32.add (local.get $records) (i32.mul (local.get $i) (i32.const 12))))
        (i32.store (local.get $record) (local.get $group))
        (i32.store offset=4 (local.get $record) (call $place (local.get $group)))
        (i32.store offset=8 (local.get $record) (i32.const 8))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (i32.store (i32.const 640) (i32.const 0))
    (i32.store (i32.const 644) (local.get $records))
    (i32.store (i32.const 648) (local.get $count))
    (i32.const 640)))
