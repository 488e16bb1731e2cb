// The package's entry: `import { answer } from "@hostel-rs/assemblyscript"`.
export * from "./hostel";
